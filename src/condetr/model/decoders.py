"""The two decoders, DETR's and Conditional DETR's: object queries become one embedding per query and layer.

f: decoder embedding that enters a layer.  c: embedding after self-attention.  p: embedded reference point.
p_q: spatial query. All layers start as copies of one, as the official code initialises them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain, repeat

import torch
from torch import Tensor, nn

from ..cpu.dropout import Dropout
from ..shapes import Float
from .attention import (
    AdditiveAttention,
    ConditionalCrossAttention,
    DecoupledSelfAttention,
    MultiScaleCrossAttention,
)
from .box_bias import AxialScores, MultiScaleScores
from .groups import Groups
from .layers import FeedForward, embed_points
from .spatial_query import Identity, SpatialQuery
from .tokens import Tokens

Queries = Float[Tensor, "B N D"]
CrossAttention = type[ConditionalCrossAttention] | type[MultiScaleCrossAttention]
Refine = Callable[[Queries, Float[Tensor, "B N R"]], Float[Tensor, "B N R"]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What S decoder layers return: normalised embeddings, and the reference that each layer started from.

    References are logits of points (x, y) or of boxes (cx, cy, w, h), R = 2 or 4. A decoder that does not refine its
    references has the same ones in every layer.
    """

    embeddings: Float[Tensor, "S B N D"]
    references: Float[Tensor, "S B N R"]

    def split(self, counts: Sequence[int]) -> list["Decoded"]:
        """Consecutive queries, as many as `counts` says."""
        parts = (x.split(list(counts), dim=2) for x in (self.embeddings, self.references))
        return [Decoded(*part) for part in zip(*parts)]

    def last_layer(self) -> "Decoded":
        """Only the last layer (S = 1)."""
        return Decoded(self.embeddings[-1:], self.references[-1:])


class Decoder(nn.Module, ABC):
    @abstractmethod
    def forward(
        self, queries: Queries, reference: Float[Tensor, "B N R"], memory: Tokens, groups: Groups | None, refine: Refine
    ) -> Decoded:
        """Decode queries against image tokens.

        `queries` are the object queries; `reference` are the logits that the first layer starts from. Queries see only
        those of their own group; without `groups`, all of their image. `refine` computes the next reference from a
        layer's normalised embeddings and its reference; not all decoders use it.
        """


class DetrLayer(nn.Module):
    """Self-attention, cross-attention and a feed-forward network, each followed by an addition and a norm."""

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = AdditiveAttention(dim, heads, dropout)
        self.cross_attention = AdditiveAttention(dim, heads, dropout)
        self.feed_forward = FeedForward(dim, hidden, dropout)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))
        self.dropout = Dropout(dropout)

    def forward(self, f: Queries, object_query: Queries, memory: Tokens, groups: Groups | None) -> Queries:
        c = self.norm1(
            f + self.dropout(self.self_attention(f, object_query, Tokens.of_queries(f, object_query), groups))
        )
        x = self.norm2(c + self.dropout(self.cross_attention(c, object_query, memory)))
        return self.norm3(x + self.dropout(self.feed_forward(x)))


class DetrDecoder(Decoder):
    """DETR (section 3.2): every attention adds the object query to the content. The reference is only passed on."""

    def __init__(self, dim: int, heads: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        first = DetrLayer(dim, heads, hidden, dropout)
        self.layers = nn.ModuleList(deepcopy(first) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, queries: Queries, reference: Float[Tensor, "B N R"], memory: Tokens, groups: Groups | None, refine: Refine
    ) -> Decoded:
        f, embeddings = torch.zeros_like(queries), []
        for layer in self.layers:
            f = layer(f, queries, memory, groups)
            embeddings.append(self.norm(f))
        return Decoded(torch.stack(embeddings), reference.expand(len(embeddings), -1, -1, -1))


class ConditionalLayer(nn.Module):
    """A layer of Conditional DETR. The first one has another cross-attention, see `ConditionalCrossAttention`."""

    def __init__(
        self, dim: int, heads: int, hidden: int, dropout: float, first_layer: bool, cross_attention: CrossAttention
    ) -> None:
        super().__init__()
        self.self_attention = DecoupledSelfAttention(dim, heads, dropout)
        self.cross_attention = cross_attention(dim, heads, dropout, first_layer)
        self.feed_forward = FeedForward(dim, hidden, dropout)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))
        self.dropout = Dropout(dropout)

    def forward(
        self,
        f: Queries,
        p: Queries,
        spatial_query: SpatialQuery,
        object_query: Queries,
        memory: Tokens,
        groups: Groups | None,
        bias: AxialScores | MultiScaleScores | None,
    ) -> Queries:
        c = self.norm1(f + self.dropout(self.self_attention(f, object_query, groups)))
        p_q = spatial_query(f, c, p)
        x = self.norm2(c + self.dropout(self.cross_attention(c, p_q, object_query, memory, bias)))
        return self.norm3(x + self.dropout(self.feed_forward(x)))


def conditional_layers(
    dim: int, heads: int, hidden: int, layers: int, dropout: float, cross_attention: CrossAttention
) -> nn.ModuleList:
    """All layers start as copies of one."""
    first = ConditionalLayer(dim, heads, hidden, dropout, True, cross_attention)
    later = ConditionalLayer(dim, heads, hidden, dropout, False, cross_attention)
    later.load_state_dict(first.state_dict(), strict=False)  # a later layer has all its weights but `query_object`
    return nn.ModuleList([first, *(deepcopy(later) for _ in range(layers - 1))])


class ConditionalDecoder(Decoder):
    """Conditional DETR (section 3.3): cross-attention gets a spatial query, the embedded reference point transformed by
    the decoder embedding. In the first layer the transform is the identity."""

    def __init__(
        self,
        dim: int,
        heads: int,
        hidden: int,
        layers: int,
        dropout: float,
        spatial_query: SpatialQuery,
        cross_attention: CrossAttention = ConditionalCrossAttention,
    ) -> None:
        super().__init__()
        self.layers = conditional_layers(dim, heads, hidden, layers, dropout, cross_attention)
        self.spatial_query = spatial_query  # shared by all layers but the first
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, queries: Queries, reference: Float[Tensor, "B N 2"], memory: Tokens, groups: Groups | None, refine: Refine
    ) -> Decoded:
        p = embed_points(reference.sigmoid(), queries.shape[-1]).to(queries.dtype)
        f, embeddings = torch.zeros_like(queries), []
        for layer, spatial_query in zip(self.layers, chain([Identity()], repeat(self.spatial_query))):
            f = layer(f, p, spatial_query, queries, memory, groups, None)
            embeddings.append(self.norm(f))
        return Decoded(torch.stack(embeddings), reference.expand(len(embeddings), -1, -1, -1))
