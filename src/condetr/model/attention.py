"""The three kinds of attention in the DETR family, and the one function that computes all of them: `attend`."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..cpu.attention import attend_with_dropout
from ..cpu.available import on_cpu
from ..cpu.dropout import dropout as apply_dropout
from ..cpu.linear import Linear
from ..shapes import Bool, Float
from .box_bias import AxialScores
from .tokens import Tokens


def split_heads(x: Float[Tensor, "B S D"], heads: int) -> Float[Tensor, "B H S E"]:
    """The D channels of each token as H heads of E = D / H channels."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(
    q: Float[Tensor, "B H S E"],
    k: Float[Tensor, "B H L E"],
    v: Float[Tensor, "B H L V"],
    mask: Bool[Tensor, "B 1 1 L"] | None,
    bias: Float[Tensor, "#B #H S L"] | None,
    dropout: float,
) -> Float[Tensor, "B S HV"]:
    """softmax(q k^T / sqrt(E) + bias) v, the heads side by side (Vaswani et al. 2017, eq. 1).

    `mask` is True for the tokens that take part and False for padding; None where all take part. At least one token of
    each image must take part. `bias` is added to the scores, and may be learned; its axes of images and heads may have
    length 1. `dropout` is the probability with which an attention weight is dropped, 0 in evaluation.

    All attention of the package is computed here. The branches below differ only in speed and memory.
    """
    if dropout and on_cpu(q) and q.dtype in (torch.float32, torch.float64):
        return _join_heads(attend_with_dropout(q, k, v, mask, bias, dropout))
    if q.device.type == "cpu" and (dropout or (bias is not None and bias.requires_grad)):
        # torch's own attention is slow with dropout, and with a bias that needs a gradient
        score = (q * q.shape[-1] ** -0.5) @ k.mT
        score = score if bias is None else score + bias
        score = score if mask is None else score.masked_fill(~mask, -torch.inf)
        return _join_heads(apply_dropout(score.softmax(-1), dropout).to(v.dtype) @ v)
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


class AdditiveAttention(nn.Module):
    """DETR's attention: the position is added to the content of queries and keys before they are projected; values are
    content alone (DETR, appendix A.3)."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (Linear(dim, dim) for _ in range(4))
        self.heads, self.dropout = heads, dropout

    def forward(
        self, x: Float[Tensor, "B S D"], position: Float[Tensor, "B S D"], memory: Tokens
    ) -> Float[Tensor, "B S D"]:
        q = split_heads(self.query(memory.by_image(x + position)), self.heads)
        k = split_heads(self.key(memory.content + memory.position), self.heads)
        v = split_heads(self.value(memory.content), self.heads)
        return self.out(attend(q, k, v, memory.mask, None, self.dropout * self.training)).view_as(x)


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
        self, x: Float[Tensor, "B N D"], position: Float[Tensor, "B N D"], valid: Bool[Tensor, "B N"] | None
    ) -> Float[Tensor, "B N D"]:
        """`valid` is False for padding queries, to which no other query attends; None where there are none."""
        mask = None if valid is None else (valid | ~valid.any(1, keepdim=True))[:, None, None]
        q = split_heads(self.query_content(x) + self.query_position(position), self.heads)
        k = split_heads(self.key_content(x) + self.key_position(position), self.heads)
        v = split_heads(self.value(x), self.heads)
        return self.out(attend(q, k, v, mask, None, self.dropout * self.training))


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
    """

    def __init__(self, dim: int, heads: int, dropout: float, first_layer: bool) -> None:
        super().__init__()
        self.query_content, self.query_spatial = Linear(dim, dim), Linear(dim, dim)
        self.key_content, self.key_spatial = Linear(dim, dim), Linear(dim, dim)
        self.value, self.out = Linear(dim, dim), Linear(dim, dim)
        self.query_object = Linear(dim, dim) if first_layer else None
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
        content_, spatial_, object_ = (memory.by_image(x) for x in (content, spatial, object_query))
        v = split_heads(memory.projected(self.value), self.heads)
        dropout = self.dropout * self.training
        if bias is None:
            q, k = self.halves(content_, spatial_, object_, memory)
            x = attend(q.joined(), k.joined(), v, memory.mask, None, dropout)
        else:
            c_q, c_k = self.content_halves(content_, object_, memory)
            scores = self.spatial_scores(spatial_, memory, bias).of_cells()
            x = attend(c_q * 0.5**0.5, c_k, v, memory.mask, scores, dropout)  # heads are half as wide as `joined`
        return self.out(x).view_as(content)

    def content_halves(
        self, content: Float[Tensor, "B N D"], object_query: Float[Tensor, "B N D"], memory: Tokens
    ) -> tuple[Float[Tensor, "B H N E"], Float[Tensor, "B H L E"]]:
        """c_q and c_k, projected."""
        q, k = self.query_content(content), memory.projected(self.key_content)
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
        q_content, k_content = self.query_content(content), memory.projected(self.key_content)
        q_spatial, k_spatial = self.query_spatial(spatial), self.key_spatial(memory.position)
        if self.query_object is not None:
            q_content, k_content = q_content + self.query_object(object_query), k_content + k_spatial
        return (
            Halves(split_heads(q_content, self.heads), split_heads(q_spatial, self.heads)),
            Halves(split_heads(k_content, self.heads), split_heads(k_spatial, self.heads)),
        )
