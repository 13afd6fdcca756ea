"""A conditional decoder that learns no more: what its weights alone decide is worked out once, when this is made.

Object queries are the same for every image. So are their reference points, what they add to every self-attention
and, as the first layer begins with f = 0, all of that layer up to its look at the image.

A token lies in a row and a column: half of its position says y, the other half x. Projected it is a sum of one vector
for the row and one for the column, and p_q.p_k is the sum of an entry in a table of queries by rows and one of queries
by columns. That is exact, spares projecting every token's position, and leaves q, k and v of one width.

f: decoder embedding entering the layer.  c: the same after self-attention.  p: embedded reference point.
"""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model.attention import ConditionalCrossAttention, DecoupledSelfAttention, attend, split_heads
from ..model.decoders import ConditionalDecoder, ConditionalLayer, LayerOutputs, Queries, Reference
from ..model.detector import Detector
from ..model.layers import embed_points
from ..model.spatial_query import SpatialQuery
from ..model.tokens import Tokens
from ..shapes import Float


def settle(detector: Detector) -> Detector:
    """A detector of the same parts that answers as this one does now: reference points known, and a conditional
    decoder settled, of which only the last layer speaks."""
    with torch.no_grad():
        object_query = detector.queries.weight[None]
        reference = detector.reference(object_query)
        decoder = detector.decoder
        if isinstance(decoder, ConditionalDecoder):
            decoder = SettledDecoder(decoder, object_query, reference)
    return Detector(
        detector.backbone, detector.project, detector.encoder, detector.queries, Known(reference), decoder,
        detector.heads,
    )  # fmt: skip


class Known(nn.Module):
    """Reference points that somebody has worked out."""

    point: Tensor

    def __init__(self, point: Float[Tensor, "1 N 2"]) -> None:
        super().__init__()
        self.register_buffer("point", point)

    def forward(self, object_query: Queries) -> Reference:
        return self.point.expand(len(object_query), -1, -1)


class SettledDecoder(nn.Module):
    """Answers for the object queries it was made with, whatever it is asked for."""

    def __init__(
        self, decoder: ConditionalDecoder, object_query: Float[Tensor, "1 N D"], reference: Float[Tensor, "1 N 2"]
    ) -> None:
        super().__init__()
        first, *later = cast(Iterable[ConditionalLayer], decoder.layers)
        p = embed_points(reference.sigmoid(), object_query.shape[-1]).to(object_query.dtype)
        self.first = FirstLayer(first, object_query, p)
        self.later = nn.ModuleList(LaterLayer(layer, decoder.spatial_query, object_query, p) for layer in later)
        self.norm = decoder.norm

    def forward(self, object_query: Queries, reference: Reference, memory: Tokens) -> LayerOutputs:
        """The last layer alone (S = 1)."""
        f = self.first(memory)
        for layer in self.later:
            f = layer(f, memory)
        return self.norm(f)[None]


class FirstLayer(nn.Module):
    """The grounded layer: all that is left of it is to look, and what follows."""

    c: Tensor
    q_content: Tensor
    q_spatial: Tensor

    def __init__(self, plain: ConditionalLayer, object_query: Queries, p: Queries) -> None:
        super().__init__()
        among, look = plain.self_attention, plain.cross_attention
        assert look.query_object is not None
        # f = 0 gives every query the same value, so that is what each receives, wherever it looks
        c = plain.norm1(among.out(among.value.bias)).expand_as(object_query)
        q_content = look.query_content(c) + look.query_object(object_query)
        # the key's content half is c_k + p_k here, and so (c_q)(c_k + p_k) + p_q p_k = c_q c_k + (c_q + p_q) p_k
        q_spatial = q_content + look.query_spatial(p)
        self.look = Look(look)
        for name, value in (("c", c), ("q_content", q_content), ("q_spatial", q_spatial)):
            self.register_buffer(name, value)
        self.feed_forward, self.norm2, self.norm3 = plain.feed_forward, plain.norm2, plain.norm3

    def forward(self, memory: Tokens) -> Queries:
        size = len(memory.content)
        q_content, q_spatial = (q.expand(size, -1, -1) for q in (self.q_content, self.q_spatial))
        x = self.norm2(self.c + self.look(q_content, q_spatial, memory))
        return self.norm3(x + self.feed_forward(x))


class LaterLayer(nn.Module):
    p: Tensor

    def __init__(self, plain: ConditionalLayer, spatial_query: SpatialQuery, object_query: Queries, p: Queries) -> None:
        super().__init__()
        self.self_attention = SettledSelfAttention(plain.self_attention, object_query)
        look = plain.cross_attention
        self.query_content, self.query_spatial, self.look = look.query_content, look.query_spatial, Look(look)
        self.spatial_query = spatial_query
        self.register_buffer("p", p)
        self.feed_forward = plain.feed_forward
        self.norm1, self.norm2, self.norm3 = plain.norm1, plain.norm2, plain.norm3

    def forward(self, f: Queries, memory: Tokens) -> Queries:
        c = self.norm1(f + self.self_attention(f))
        p_q = self.spatial_query(f, c, self.p.expand_as(f))
        x = self.norm2(c + self.look(self.query_content(c), self.query_spatial(p_q), memory))
        return self.norm3(x + self.feed_forward(x))


class SettledSelfAttention(nn.Module):
    """Query, key and value in one product; what the object queries add to them is known."""

    position: Tensor

    def __init__(self, plain: DecoupledSelfAttention, object_query: Queries) -> None:
        super().__init__()
        parts = (plain.query_content, plain.key_content, plain.value)
        width = plain.out.in_features
        self.project = torch.nn.utils.skip_init(nn.Linear, width, 3 * width)  # draws no random numbers
        self.project.weight = nn.Parameter(torch.cat([part.weight for part in parts]))
        self.project.bias = nn.Parameter(torch.cat([part.bias for part in parts]))
        position = torch.cat([plain.query_position(object_query), plain.key_position(object_query)], dim=-1)
        self.register_buffer("position", F.pad(position, (0, width)))
        self.out, self.heads = plain.out, plain.heads

    def forward(self, f: Queries) -> Queries:
        q, k, v = (split_heads(x, self.heads) for x in (self.project(f) + self.position).chunk(3, dim=-1))
        return self.out(attend(q, k, v, None, 0.0))


class Look(nn.Module):
    """A conditional cross-attention of queries whose halves are projected: c_q.c_k + b_y[row] + b_x[column]."""

    of_rows: Tensor
    of_columns: Tensor
    of_all: Tensor

    def __init__(self, plain: ConditionalCrossAttention) -> None:
        super().__init__()
        self.key, self.value, self.out, self.heads = plain.key_content, plain.value, plain.out, plain.heads
        rows, columns = plain.key_spatial.weight.detach().chunk(2, dim=1)  # of y and of x, as positions are made
        for name, value in (("of_rows", rows), ("of_columns", columns), ("of_all", plain.key_spatial.bias.detach())):
            self.register_buffer(name, value)

    def forward(self, q_content: Queries, q_spatial: Queries, memory: Tokens) -> Queries:
        q, k, v = (
            split_heads(x, self.heads) for x in (q_content, self.key(memory.content), self.value(memory.content))
        )
        bias = self.spatial(split_heads(q_spatial, self.heads) * (2 * q.shape[-1]) ** -0.5, memory)
        # `attend` divides by the root of the width, which is half of what it was with both halves side by side
        return self.out(attend(q * 0.5**0.5, k, v, bias, 0.0))

    def spatial(self, q: Float[Tensor, "B H N E"], memory: Tokens) -> Float[Tensor, "B H N L"]:
        """p_q.p_k for every token, -inf where there is nothing to see. Added up in float32, as attention adds up."""
        columns = memory.grid[1]
        y, x = memory.position.chunk(2, dim=-1)
        row = split_heads(F.linear(y[:, ::columns], self.of_rows, self.of_all), self.heads)
        column = split_heads(F.linear(x[:, :columns], self.of_columns), self.heads)
        wide = torch.promote_types(q.dtype, torch.float32)
        by_row, by_column = (q.to(wide) @ table.to(wide).mT for table in (row, column))
        score = (by_row[..., None] + by_column[..., None, :]).flatten(-2)
        return score if memory.visible is None else score.masked_fill(~memory.visible, -torch.inf)
