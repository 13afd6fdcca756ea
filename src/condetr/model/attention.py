"""The three kinds of attention in the DETR family, and the one function that computes all of them: `attend`."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..cpu.attention import attend_with_dropout
from ..cpu.available import on_cpu
from ..cpu.axial_attention import attend_with_axial_scores, worthwhile
from ..cpu.dropout import dropout as apply_dropout
from ..cpu.linear import Linear
from ..shapes import Bool, Float
from .box_bias import AxialScores, MultiScaleScores
from .groups import Groups
from .tokens import Tokens


def split_heads(x: Float[Tensor, "B S D"], heads: int) -> Float[Tensor, "B H S E"]:
    """The D channels of each token as H heads of E = D / H channels."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(
    q: Float[Tensor, "B H S E"],
    k: Float[Tensor, "B H L E"],
    v: Float[Tensor, "B H L V"],
    mask: Bool[Tensor, "B 1 1 L"] | None,
    bias: Float[Tensor, "#B #H S L"] | AxialScores | None,
    dropout: float,
) -> Float[Tensor, "B S HV"]:
    """softmax(q k^T / sqrt(E) + bias) v, the heads side by side (Vaswani et al. 2017, eq. 1).

    `mask` is True for the tokens that take part and False for padding; None where all take part. At least one token of
    each image must take part. `bias` is added to the scores, and may be learned; its axes of images and heads may have
    length 1. `dropout` is the probability with which an attention weight is dropped, 0 in evaluation.

    All attention of the package is computed here. The branches below differ only in speed and memory.
    """
    if isinstance(bias, AxialScores):
        learned = bias.rows.requires_grad or bias.columns.requires_grad
        if learned and not dropout and worthwhile(q, k):
            return _join_heads(attend_with_axial_scores(q, k, v, mask, bias.rows, bias.columns))
        bias = bias.of_cells()
    if dropout and on_cpu(q) and q.dtype in (torch.float32, torch.float64):
        return _join_heads(attend_with_dropout(q, k, v, mask, bias, dropout))
    if q.device.type == "cpu" and (dropout or (bias is not None and bias.requires_grad)):
        # torch's own attention is slow with dropout, and with a bias that needs a gradient
        score = (q * q.shape[-1] ** -0.5) @ k.mT
        score = score if bias is None else score + bias
        score = score if mask is None else score.masked_fill(~mask, -torch.inf)
        return _join_heads(apply_dropout(score.softmax(-1), dropout).to(v.dtype) @ v)
    if torch.onnx.is_in_onnx_export():  # without the guard against rows of NaN, OpenVINO fuses all of this
        score = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        score = score if bias is None else score + bias
        if mask is not None:
            score = score + torch.zeros_like(mask, dtype=score.dtype).masked_fill(~mask, -torch.inf)
        return _join_heads(score.softmax(-1) @ v)
    width = v.shape[-1]
    if q.device.type == "cpu":  # torch's fast kernel takes only values as wide as queries: zeros are added, and removed
        v = F.pad(v, (0, q.shape[-1] - width))
    added = mask
    if bias is not None:
        # the kernels take one tensor; on a GPU it must have the type of the queries
        bias = bias if q.device.type == "cpu" else bias.to(q.dtype)
        added = bias if mask is None else bias.masked_fill(~mask, -torch.inf)
    return _join_heads(F.scaled_dot_product_attention(q, k, v, added, dropout)[..., :width])


def _join_heads(x: Float[Tensor, "B H S V"]) -> Float[Tensor, "B S HV"]:
    return x.transpose(1, 2).flatten(2)


def attend_in_groups(
    q: Float[Tensor, "B N D"],
    k: Float[Tensor, "B N D"],
    v: Float[Tensor, "B N D"],
    heads: int,
    groups: Groups | None,
    dropout: float,
) -> Float[Tensor, "B N D"]:
    """Self-attention of queries, in which each sees its own group; without `groups`, all see one another.

    Groups of equal size are computed as if each were an image of its own, so that no mask between them is needed.
    """
    if groups is None:
        return attend(split_heads(q, heads), split_heads(k, heads), split_heads(v, heads), None, None, dropout)
    images, _, dim = q.shape
    counts = [equal.queries for equal in groups]
    attended = []
    for equal, *parts in zip(groups, *(x.split(counts, dim=1) for x in (q, k, v))):
        own_q, own_k, own_v = (split_heads(x.reshape(-1, equal.size, dim), heads) for x in parts)
        attended.append(attend(own_q, own_k, own_v, equal.mask, None, dropout).reshape(images, -1, dim))
    return attended[0] if len(attended) == 1 else torch.cat(attended, dim=1)


class AdditiveAttention(nn.Module):
    """DETR's attention: the position is added to the content of queries and keys before they are projected; values are
    content alone (DETR, appendix A.3)."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (Linear(dim, dim) for _ in range(4))
        self.heads, self.dropout = heads, dropout

    def forward(
        self, x: Float[Tensor, "B S D"], position: Float[Tensor, "B S D"], memory: Tokens, groups: Groups | None = None
    ) -> Float[Tensor, "B S D"]:
        """`groups` are those of the queries in a self-attention, where `memory` are the same queries."""
        q = self.query(x + position)
        k = self.key(memory.content + memory.position)
        v = self.value(memory.content)
        dropout = self.dropout * self.training
        if groups is not None:
            return self.out(attend_in_groups(q, k, v, self.heads, groups, dropout))
        q, k, v = split_heads(q, self.heads), split_heads(k, self.heads), split_heads(v, self.heads)
        return self.out(attend(q, k, v, memory.mask, None, dropout))


class DecoupledSelfAttention(nn.Module):
    """Conditional DETR's self-attention: content and position are projected separately, then added. Values are content
    alone, as in DETR."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query_content, self.query_position = Linear(dim, dim), Linear(dim, dim)
        self.key_content, self.key_position = Linear(dim, dim), Linear(dim, dim)
        self.value, self.out = Linear(dim, dim), Linear(dim, dim)
        self.heads, self.dropout = heads, dropout

    def forward(
        self, x: Float[Tensor, "B N D"], position: Float[Tensor, "B N D"], groups: Groups | None
    ) -> Float[Tensor, "B N D"]:
        """Without `groups`, all queries of an image see one another."""
        q = self.query_content(x) + self.query_position(position)
        k = self.key_content(x) + self.key_position(position)
        return self.out(attend_in_groups(q, k, self.value(x), self.heads, groups, self.dropout * self.training))


@dataclass(frozen=True, slots=True)
class Halves:
    """The content half and the spatial half of queries or keys, split into heads; `joined` has both side by side."""

    content: Float[Tensor, "B H L E"]
    spatial: Float[Tensor, "B H L E"]

    def joined(self) -> Float[Tensor, "B H L _E"]:
        return torch.cat([self.content, self.spatial], dim=-1)


class ConditionalCrossAttention(nn.Module):
    """Conditional DETR's cross-attention: halves are concatenated per head, and scores add: c_q.c_k + p_q.p_k (eq. 3).

    The attention of the first layer also adds the object query to the query's content half and the position to the
    key's, because its content does not depend on the object query yet.

    All `heads` together have `width` channels, and keys have `key_channels`: as many as queries, D, by default.
    """

    def __init__(
        self, dim: int, heads: int, dropout: float, first_layer: bool, width: int | None = None,
        key_channels: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        width, key_channels = width or dim, key_channels or dim
        self.query_content, self.query_spatial = Linear(dim, width), Linear(dim, width)
        self.key_content, self.key_spatial = Linear(key_channels, width), Linear(dim, width)
        self.value, self.out = Linear(key_channels, width), Linear(width, dim)
        self.query_object = Linear(dim, width) if first_layer else None
        self.heads, self.dropout = heads, dropout

    def forward(
        self,
        content: Float[Tensor, "B N D"],
        spatial: Float[Tensor, "B N D"],
        object_query: Float[Tensor, "B N D"],
        memory: Tokens,
        bias: AxialScores | None,
    ) -> Float[Tensor, "B N D"]:
        """With a `bias`, the spatial scores take its form, one number per row and column, and are added to it."""
        v = split_heads(self.value(memory.content), self.heads)
        dropout = self.dropout * self.training
        if bias is None:
            q, k = self.halves(content, spatial, object_query, memory)
            x = attend(q.joined(), k.joined(), v, memory.mask, None, dropout)
        else:
            c_q, c_k = self.content_halves(content, object_query, memory)
            scores = self.spatial_scores(spatial, memory, bias)
            x = attend(c_q * 0.5**0.5, c_k, v, memory.mask, scores, dropout)  # heads are half as wide as `joined`
        return self.out(x)

    def content_halves(
        self, content: Float[Tensor, "B N D"], object_query: Float[Tensor, "B N D"], memory: Tokens
    ) -> tuple[Float[Tensor, "B H N E"], Float[Tensor, "B H L E"]]:
        """c_q and c_k, projected."""
        q, k = self.query_content(content), self.key_content(memory.content)
        if self.query_object is not None:
            q, k = q + self.query_object(object_query), k + self.key_spatial(memory.position)
        return split_heads(q, self.heads), split_heads(k, self.heads)

    def spatial_scores(self, spatial: Float[Tensor, "B N D"], memory: Tokens, bias: AxialScores) -> AxialScores:
        """p_q.p_k, scaled, plus a bias. A position is [y; x], and p_k = W_y y + W_x x + b."""
        p_q = split_heads(self.query_spatial(spatial), self.heads)
        y, x = memory.axes()
        w_y, w_x = self.key_spatial.weight.chunk(2, dim=1)
        rows, columns = F.linear(y, w_y, self.key_spatial.bias), F.linear(x, w_x)
        scores = AxialScores(*(p_q @ split_heads(k, self.heads).transpose(-2, -1) for k in (rows, columns)))
        return scores * (2 * p_q.shape[-1]) ** -0.5 + bias

    def halves(
        self,
        content: Float[Tensor, "B N D"],
        spatial: Float[Tensor, "B N D"],
        object_query: Float[Tensor, "B N D"],
        memory: Tokens,
    ) -> tuple[Halves, Halves]:
        """The projected halves of queries (c_q, p_q; L = N) and keys (c_k, p_k; L = image tokens)."""
        q_content, k_content = self.query_content(content), self.key_content(memory.content)
        q_spatial, k_spatial = self.query_spatial(spatial), self.key_spatial(memory.position)
        if self.query_object is not None:
            q_content, k_content = q_content + self.query_object(object_query), k_content + k_spatial
        return (
            Halves(split_heads(q_content, self.heads), split_heads(q_spatial, self.heads)),
            Halves(split_heads(k_content, self.heads), split_heads(k_spatial, self.heads)),
        )


class MultiScaleCrossAttention(nn.Module):
    """Half of the heads attend to tokens, the other half to their `finer` tokens, which have half as many channels.

    Each half is a conditional cross-attention; their outputs are added, which is what one output layer of all heads
    would compute.
    """

    def __init__(self, dim: int, heads: int, dropout: float, first_layer: bool) -> None:
        super().__init__()
        self.coarse = ConditionalCrossAttention(dim, heads // 2, dropout, first_layer, dim // 2)
        self.fine = ConditionalCrossAttention(dim, heads // 2, dropout, first_layer, dim // 2, dim // 2)

    def forward(
        self,
        content: Float[Tensor, "B N D"],
        spatial: Float[Tensor, "B N D"],
        object_query: Float[Tensor, "B N D"],
        memory: Tokens,
        bias: MultiScaleScores | None,
    ) -> Float[Tensor, "B N D"]:
        """With a `bias` for the heads of each scale."""
        assert memory.finer is not None
        coarse, fine = (None, None) if bias is None else (bias.coarse, bias.fine)
        return self.coarse(content, spatial, object_query, memory, coarse) + self.fine(
            content, spatial, object_query, memory.finer, fine
        )
