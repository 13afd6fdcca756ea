"""Attention on a CPU whose scores have a part that is a sum of one number per row and one per column of the tokens.

A few heads of an image are computed at a time, so that their scores stay in the processor's cache, and the scores of
rows and columns are added there. torch's own operations write the scores of all heads to memory at each step.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..shapes import Bool, Float
from .attention import heads_side_by_side
from .available import on_cpu

SCORES = 256 * 1024  # computed at once: 1 MiB
MANY = 1024 * 1024  # scores of an image from which this is faster than torch's own operations


def worthwhile(q: Float[Tensor, "B H N E"], k: Float[Tensor, "B H L E"]) -> bool:
    """Whether there are enough scores, and of a type, for which this is faster than torch's own operations."""
    return on_cpu(q) and q.dtype == torch.float32 and q.shape[1] * q.shape[2] * k.shape[2] >= MANY


def attend_with_axial_scores(
    q: Float[Tensor, "B H N E"],
    k: Float[Tensor, "B H L E"],
    v: Float[Tensor, "B H L V"],
    mask: Bool[Tensor, "B 1 1 L"] | None,
    rows: Float[Tensor, "B H N h"],
    columns: Float[Tensor, "B H N w"],
) -> Float[Tensor, "B H N V"]:
    """softmax(q k^T / sqrt(E) + rows + columns) v, for tokens in a grid of h x w, row by row: L = h w.

    `mask` is True for tokens that take part. Everything but the mask may need a gradient.
    """
    return _AxialAttention.apply(q * q.shape[-1] ** -0.5, k, v, mask, rows, columns)


class _AxialAttention(torch.autograd.Function):
    """o = p v, with p = softmax(s) and s = q k^T + rows + columns. The backward pass needs p and o."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, rows: Tensor, columns: Tensor
    ) -> Tensor:
        p = q.new_empty(*q.shape[:3], k.shape[2])
        o = heads_side_by_side(q, v.shape[-1])
        for at in _parts(p):
            s = (rows[at][..., :, None] + columns[at][..., None, :]).flatten(-2)
            s.baddbmm_(q[at], k[at].mT)
            if mask is not None:
                s.masked_fill_(~mask[at[0], 0, 0], -torch.inf)
            torch.softmax(s, -1, out=p[at])
            o[at] = p[at] @ v[at]
        ctx.save_for_backward(q, k, v, p, o)
        ctx.grid = rows.shape[-1], columns.shape[-1]
        return o

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, p, o = ctx.saved_tensors
        grad_q, grad_k, grad_v = (heads_side_by_side(x, x.shape[-1]) for x in (q, k, v))
        grad_rows, grad_columns = (q.new_empty(*q.shape[:3], n) for n in ctx.grid)
        # the gradient of s is p (g v^T - Σ g o); one more channel of g and v subtracts the sum in the same product
        g_ = torch.cat([g, -(g * o).sum(-1, keepdim=True)], dim=-1)
        v_ = torch.cat([v, v.new_ones(*v.shape[:3], 1)], dim=-1)
        for at in _parts(p):
            grad_s = (g_[at] @ v_[at].mT).mul_(p[at])
            grad_q[at], grad_k[at], grad_v[at] = grad_s @ k[at], grad_s.mT @ q[at], p[at].mT @ g[at]
            cells = grad_s.unflatten(-1, ctx.grid)
            grad_rows[at], grad_columns[at] = cells.sum(-1), cells.sum(-2)
        return grad_q, grad_k, grad_v, None, grad_rows, grad_columns


def _parts(p: Tensor) -> Iterator[tuple[int, slice]]:
    """(image, heads): a few heads of one image at a time."""
    images, heads, queries, tokens = p.shape
    step = max(1, SCORES // max(1, queries * tokens))
    for image in range(images):
        for head in range(0, heads, step):
            yield image, slice(head, head + step)
