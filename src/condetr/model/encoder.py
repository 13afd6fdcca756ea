"""The transformer encoder: self-attention of image tokens, post-norm, without a final norm (DETR, appendix A.3)."""

from copy import deepcopy

from torch import nn

from ..cpu.dropout import Dropout
from .attention import AdditiveAttention
from .layers import FeedForward
from .tokens import Tokens


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network, each followed by an addition and a norm."""

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = AdditiveAttention(dim, heads, dropout)
        self.feed_forward = FeedForward(dim, hidden, dropout)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.dropout = Dropout(dropout)

    def forward(self, image: Tokens) -> Tokens:
        x = self.norm1(image.content + self.dropout(self.attention(image.content, image.position, image)))
        return image.with_content(self.norm2(x + self.dropout(self.feed_forward(x))))


class Encoder(nn.Module):
    """Layers that start as copies of one."""

    def __init__(self, dim: int, heads: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        first = EncoderLayer(dim, heads, hidden, dropout)
        self.layers = nn.ModuleList(deepcopy(first) for _ in range(layers))

    def forward(self, image: Tokens) -> Tokens:
        for layer in self.layers:
            image = layer(image)
        return image
