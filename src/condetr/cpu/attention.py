"""Attention with dropout on a CPU, which keeps no probabilities for the backward pass.

torch's flash kernel for the CPU has no dropout, and without it the probabilities and their mask would be a quarter of
the memory of a training step. Here the backward pass computes the probabilities again, and draws the mask again.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..shapes import Bool, Float
from .dropout import DropoutMask
from .elementwise import softmax_gradient, where_above

HEADS = 4  # computed at once: what they need fits in a processor's cache


def attend_with_dropout(
    q: Float[Tensor, "B H S E"],
    k: Float[Tensor, "B H L E"],
    v: Float[Tensor, "B H L V"],
    mask: Bool[Tensor, "B 1 1 L"] | None,
    bias: Float[Tensor, "#B #H S L"] | None,
    p: float,
) -> Float[Tensor, "B H S V"]:
    """softmax(q k^T / sqrt(E) + bias) v, with dropout of probability p on the softmax.

    `mask` is True for tokens that take part. Everything but the mask may need a gradient.
    """
    return _Attention.apply(q * q.shape[-1] ** -0.5, k, v, mask, bias, p)


class _Attention(torch.autograd.Function):
    """o = (m ∘ p) v, with p = softmax(q k^T + bias) and the dropout mask m, which includes its scale."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, bias: Tensor | None, p: float
    ) -> Tensor:
        ctx.save_for_backward(q, k, v, mask, bias)
        ctx.dropout = dropout = DropoutMask(p)
        o, generator = heads_side_by_side(q, v.shape[-1]), dropout.generator()
        for at in _parts(q):
            o[at] = dropout.apply(_probabilities(q, k, mask, bias, at), generator) @ v[at]
        return o.mul_(dropout.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        (q, k, v, mask, bias), dropout = ctx.saved_tensors, ctx.dropout
        grad_q, grad_k, grad_v = (heads_side_by_side(x, x.shape[-1]) for x in (q, k, v))
        grad_bias = torch.zeros_like(bias) if ctx.needs_input_grad[4] else None
        generator = dropout.generator()
        for at in _parts(q):
            p, grad_o = _probabilities(q, k, mask, bias, at), g[at] * dropout.scale
            kept = dropout.apply(p, generator)
            grad_v[at] = kept.mT @ grad_o
            grad_p = where_above(grad_o @ v[at].mT, kept, 0.0)  # where p itself is 0, so is the gradient of its score
            grad_score = softmax_gradient(grad_p, p)
            grad_q[at], grad_k[at] = grad_score @ k[at], grad_score.mT @ q[at]
            if grad_bias is not None:
                part = _broadcast(grad_bias, at)
                part += grad_score.sum_to_size(part.shape)
        return grad_q, grad_k, grad_v, None, grad_bias, None


def _parts(q: Tensor) -> Iterator[tuple[int, slice]]:
    """(image, heads): a few heads of one image at a time."""
    for image in range(q.shape[0]):
        for head in range(0, q.shape[1], HEADS):
            yield image, slice(head, head + HEADS)


def _probabilities(q: Tensor, k: Tensor, mask: Tensor | None, bias: Tensor | None, at: tuple[int, slice]) -> Tensor:
    score = q[at] @ k[at].mT
    if bias is not None:
        score += _broadcast(bias, at)
    if mask is not None:
        score += torch.zeros(mask.shape[-1]).masked_fill_(~mask[at[0], 0, 0], -torch.inf)
    return score.softmax(-1)


def _broadcast(bias: Tensor, at: tuple[int, slice]) -> Tensor:
    """The part of a bias that belongs to some heads of an image; its axes of images and heads may have length 1."""
    image, heads = at
    return bias[image if len(bias) > 1 else 0, heads if bias.shape[1] > 1 else slice(None)]


def heads_side_by_side(x: Tensor, width: int) -> Tensor:
    """An empty tensor (B H S width) in whose memory the heads of a token are adjacent, as `split_heads` leaves them."""
    return x.new_empty(x.shape[0], x.shape[2], x.shape[1], width).transpose(1, 2)
