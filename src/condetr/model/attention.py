"""The three ways tokens attend in the DETR family, over one attention kernel."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..cpu.dropout import attend_dropping, drop, quick
from ..cpu.kernels import Linear
from ..shapes import Bool, Float
from .tokens import Tokens


def split_heads(x: Float[Tensor, "B S D"], heads: int) -> Float[Tensor, "B H S E"]:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(
    q: Float[Tensor, "B H S E"],
    k: Float[Tensor, "B H L E"],
    v: Float[Tensor, "B H L V"],
    visible: Bool[Tensor, "B 1 1 L"] | Float[Tensor, "B H S L"] | None,
    dropout: float,
) -> Float[Tensor, "B S HV"]:
    """Softmax attention blind to padding: the only attention kernel in the package. Scores are q.k / sqrt(E).

    `visible` is False where there is nothing to see, or a number to add to each score (without dropout).

    On a CPU torch has a fast kernel only without dropout, and only for values as wide as the queries: narrower ones are
    filled up with zeros, and the zeros left out again.
    """
    width = v.shape[-1]
    assert not dropout or visible is None or visible.dtype == torch.bool
    if dropout and quick(q) and q.dtype == torch.float32:
        return attend_dropping(q, k, v, visible, dropout).transpose(1, 2).flatten(2)
    if dropout and q.device.type == "cpu":
        score = (q * q.shape[-1] ** -0.5) @ k.mT
        score = score if visible is None else score.masked_fill(~visible, -torch.inf)
        return (drop(score.softmax(-1), dropout) @ v).transpose(1, 2).flatten(2)
    if q.device.type == "cpu":
        v = F.pad(v, (0, q.shape[-1] - width))
    elif visible is not None and visible.is_floating_point():
        visible = visible.to(q.dtype)  # elsewhere no kernel takes the two in different types
    return F.scaled_dot_product_attention(q, k, v, visible, dropout)[..., :width].transpose(1, 2).flatten(2)


class AdditiveAttention(nn.Module):
    """DETR: position is added to content and both pass one projection."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (Linear(dim, dim) for _ in range(4))
        self.heads, self.dropout = heads, dropout

    def forward(
        self, x: Float[Tensor, "B S D"], position: Float[Tensor, "B S D"], memory: Tokens
    ) -> Float[Tensor, "B S D"]:
        q = split_heads(self.query(memory.shared(x + position)), self.heads)
        k = split_heads(self.key(memory.content + memory.position), self.heads)
        v = split_heads(self.value(memory.content), self.heads)
        return self.out(attend(q, k, v, memory.visible, self.dropout * self.training)).view_as(x)


class DecoupledSelfAttention(nn.Module):
    """Conditional DETR among queries: content and position are projected apart, then added."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query_content, self.query_position = Linear(dim, dim), Linear(dim, dim)
        self.key_content, self.key_position = Linear(dim, dim), Linear(dim, dim)
        self.value, self.out = Linear(dim, dim), Linear(dim, dim)
        self.heads, self.dropout = heads, dropout

    def forward(self, x: Float[Tensor, "B N D"], position: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        q = split_heads(self.query_content(x) + self.query_position(position), self.heads)
        k = split_heads(self.key_content(x) + self.key_position(position), self.heads)
        v = split_heads(self.value(x), self.heads)
        return self.out(attend(q, k, v, None, self.dropout * self.training))


@dataclass(frozen=True, slots=True)
class Halves:
    """The content and the spatial half of one side of an attention, per head."""

    content: Float[Tensor, "B H L E"]
    spatial: Float[Tensor, "B H L E"]

    def joined(self) -> Float[Tensor, "B H L _E"]:
        return torch.cat([self.content, self.spatial], dim=-1)


class ConditionalCrossAttention(nn.Module):
    """Conditional DETR on the image: halves are concatenated per head, so scores add, c_q.c_k + p_q.p_k (eq. 3).

    A grounded layer also adds the object query and the key position to the content halves; the first layer needs it,
    for its content is still empty of place.
    """

    def __init__(self, dim: int, heads: int, dropout: float, grounded: bool) -> None:
        super().__init__()
        self.query_content, self.query_spatial = Linear(dim, dim), Linear(dim, dim)
        self.key_content, self.key_spatial = Linear(dim, dim), Linear(dim, dim)
        self.value, self.out = Linear(dim, dim), Linear(dim, dim)
        self.query_object = Linear(dim, dim) if grounded else None
        self.heads, self.dropout = heads, dropout

    def forward(
        self,
        content: Float[Tensor, "B N D"],
        spatial: Float[Tensor, "B N D"],
        object_query: Float[Tensor, "B N D"],
        memory: Tokens,
    ) -> Float[Tensor, "B N D"]:
        q, k = self.halves(memory.shared(content), memory.shared(spatial), memory.shared(object_query), memory)
        v = split_heads(self.value(memory.content), self.heads)
        found = attend(q.joined(), k.joined(), v, memory.visible, self.dropout * self.training)
        return self.out(found).view_as(content)

    def halves(
        self,
        content: Float[Tensor, "B N D"],
        spatial: Float[Tensor, "B N D"],
        object_query: Float[Tensor, "B N D"],
        memory: Tokens,
    ) -> tuple[Halves, Halves]:
        """The query's and the key's content (c_q, c_k) and spatial (p_q, p_k) halves, projected."""
        q_content, k_content = self.query_content(content), self.key_content(memory.content)
        q_spatial, k_spatial = self.query_spatial(spatial), self.key_spatial(memory.position)
        if self.query_object is not None:
            q_content, k_content = q_content + self.query_object(object_query), k_content + k_spatial
        return (
            Halves(split_heads(q_content, self.heads), split_heads(q_spatial, self.heads)),
            Halves(split_heads(k_content, self.heads), split_heads(k_spatial, self.heads)),
        )
