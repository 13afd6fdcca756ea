"""The two decoders. Both turn object queries into embeddings, one for each layer, by looking at each other and at
the image; they differ in how a query says where it looks.

f: decoder embedding.  c: the same after self-attention.  p: embedded reference point.  p_q: spatial query.
Layers start as copies of one (the official initialisation draws their biases once).
"""

from copy import deepcopy
from itertools import chain, repeat

import torch
from torch import Tensor, nn

from ..cpu.dropout import Dropout
from ..shapes import Float
from .attention import AdditiveAttention, ConditionalCrossAttention, DecoupledSelfAttention
from .layers import FeedForward, embed_points
from .spatial_query import Identity, SpatialQuery
from .tokens import Tokens

Queries = Float[Tensor, "B N D"]
Reference = Float[Tensor, "B N 2"]
LayerOutputs = Float[Tensor, "S B N D"]


class DetrLayer(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = AdditiveAttention(dim, heads, dropout)
        self.cross_attention = AdditiveAttention(dim, heads, dropout)
        self.feed_forward = FeedForward(dim, hidden, dropout)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))
        self.dropout = Dropout(dropout)

    def forward(self, f: Queries, object_query: Queries, memory: Tokens) -> Queries:
        c = self.norm1(f + self.dropout(self.self_attention(f, object_query, Tokens.unpadded(f, object_query))))
        x = self.norm2(c + self.dropout(self.cross_attention(c, object_query, memory)))
        return self.norm3(x + self.dropout(self.feed_forward(x)))


class DetrDecoder(nn.Module):
    """DETR: the object query is added to the content wherever a query looks."""

    def __init__(self, dim: int, heads: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        first = DetrLayer(dim, heads, hidden, dropout)
        self.layers = nn.ModuleList(deepcopy(first) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, object_query: Queries, reference: Reference, memory: Tokens) -> LayerOutputs:
        f, outputs = torch.zeros_like(object_query), []
        for layer in self.layers:
            f = layer(f, object_query, memory)
            outputs.append(self.norm(f))
        return torch.stack(outputs)


class ConditionalLayer(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int, dropout: float, grounded: bool) -> None:
        super().__init__()
        self.self_attention = DecoupledSelfAttention(dim, heads, dropout)
        self.cross_attention = ConditionalCrossAttention(dim, heads, dropout, grounded)
        self.feed_forward = FeedForward(dim, hidden, dropout)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))
        self.dropout = Dropout(dropout)

    def forward(
        self, f: Queries, p: Queries, spatial_query: SpatialQuery, object_query: Queries, memory: Tokens
    ) -> Queries:
        c = self.norm1(f + self.dropout(self.self_attention(f, object_query)))
        p_q = spatial_query(f, c, p)
        x = self.norm2(c + self.dropout(self.cross_attention(c, p_q, object_query, memory)))
        return self.norm3(x + self.dropout(self.feed_forward(x)))


class ConditionalDecoder(nn.Module):
    """Conditional DETR: a query looks where its reference point says, transformed by its content (section 3.3)."""

    def __init__(
        self, dim: int, heads: int, hidden: int, layers: int, dropout: float, spatial_query: SpatialQuery
    ) -> None:
        super().__init__()
        first = ConditionalLayer(dim, heads, hidden, dropout, grounded=True)
        later = ConditionalLayer(dim, heads, hidden, dropout, grounded=False)
        later.load_state_dict(first.state_dict(), strict=False)  # all but the grounding
        self.layers = nn.ModuleList([first, *(deepcopy(later) for _ in range(layers - 1))])
        self.spatial_query = spatial_query  # one transform, shared by every layer but the first
        self.norm = nn.LayerNorm(dim)

    def forward(self, object_query: Queries, reference: Reference, memory: Tokens) -> LayerOutputs:
        p = embed_points(reference.sigmoid(), object_query.shape[-1]).to(object_query.dtype)
        f, outputs = torch.zeros_like(object_query), []
        for layer, spatial_query in zip(self.layers, chain([Identity()], repeat(self.spatial_query))):
            f = layer(f, p, spatial_query, object_query, memory)
            outputs.append(self.norm(f))
        return torch.stack(outputs)
