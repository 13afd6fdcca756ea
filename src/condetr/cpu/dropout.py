"""Dropout that is quick on a CPU and keeps next to nothing for the way back. Elsewhere it is torch's.

torch draws a random number of 64 bits for each element, one after the other, and keeps a mask. Here 16 bits say whether
an element stays, and what was drawn is drawn again on the way back instead of being kept. An attention that drops
computes its probabilities again for the same reason: kept, they were a quarter of what a training step holds.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..shapes import Bool, Float

HEADS = 4  # that are computed at once: what they need stays in a processor's cache


class Lots:
    """Which elements stay: the same ones, in the same order, for each generator it starts. Follows torch's seed."""

    def __init__(self, rate: float) -> None:
        dropped = round(rate * 65536)
        self.seed, self.bar = int(torch.empty((), dtype=torch.int64).random_()), dropped - 32768.5
        self.scale = 65536 / (65536 - dropped)

    def start(self) -> Generator:
        return torch.Generator().manual_seed(self.seed)

    def kept(self, x: Float[Tensor, "*any"], generator: Generator) -> Float[Tensor, "*any"]:
        """x where it stays, and 0 elsewhere; not yet scaled."""
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None, generator=generator)
        sixteen = draws.view(torch.int16)[: x.numel()].view(x.shape)
        return torch.ops.aten.threshold_backward(x, sixteen.float(), self.bar).to(x.dtype)  # x where the draw > bar


def quick(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


class Dropout(nn.Dropout):
    def forward(self, x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        return drop(x, self.p) if self.training else x


def drop(x: Float[Tensor, "*any"], rate: float) -> Float[Tensor, "*any"]:
    """Zero elements with a chance of `rate` (on a CPU to the nearest 1/65536), and scale up the others for it."""
    if not rate:
        return x
    return _Drop.apply(x, rate) if quick(x) else F.dropout(x, rate)


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        ctx.lots = Lots(rate)
        return ctx.lots.kept(x, ctx.lots.start()).mul_(ctx.lots.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return ctx.lots.kept(g, ctx.lots.start()).mul_(ctx.lots.scale), None


class ReLUDropout(nn.ReLU):
    """A ReLU, then dropout: what comes out says where nothing comes back, whichever of the two zeroed it."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        if not self.training or not self.rate:
            return F.relu(x)
        return _ReLUDrop.apply(x, self.rate) if quick(x) else F.dropout(F.relu(x), self.rate)


class _ReLUDrop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        lots = Lots(rate)
        y = lots.kept(x, lots.start()).relu_().mul_(lots.scale)
        ctx.save_for_backward(y)
        ctx.scale = lots.scale
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(g, y, 0).mul_(ctx.scale), None


def attend_dropping(
    q: Float[Tensor, "B H S E"],
    k: Float[Tensor, "B H L E"],
    v: Float[Tensor, "B H L V"],
    visible: Bool[Tensor, "B 1 1 L"] | None,
    rate: float,
) -> Float[Tensor, "B H S V"]:
    """Softmax attention with dropout on its probabilities, on a CPU in float32. Scores are q.k / sqrt(E)."""
    return _Attention.apply(q * q.shape[-1] ** -0.5, k, v, visible, rate)


class _Attention(torch.autograd.Function):
    """o = (m ∘ p) v with p = softmax(q k^T) and m the mask of dropout, scaled."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None, rate: float) -> Tensor:
        ctx.save_for_backward(q, k, v, visible)
        ctx.lots = lots = Lots(rate)
        o, generator = _beside(q, v.shape[-1]), lots.start()
        for at in _parts(q):
            p = _probabilities(q[at], k[at], visible, at[0])
            o[at] = lots.kept(p, generator) @ v[at]
        return o.mul_(lots.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        (q, k, v, visible), lots = ctx.saved_tensors, ctx.lots
        to_q, to_k, to_v = (_beside(x, x.shape[-1]) for x in (q, k, v))
        generator = lots.start()
        for at in _parts(q):
            p, go = _probabilities(q[at], k[at], visible, at[0]), g[at] * lots.scale
            kept = lots.kept(p, generator)
            to_v[at] = kept.mT @ go
            to_p = torch.ops.aten.threshold_backward(go @ v[at].mT, kept, 0)  # where p itself is 0, so is its share
            to_score = torch._softmax_backward_data(to_p, p, -1, p.dtype)
            to_q[at], to_k[at] = to_score @ k[at], to_score.mT @ q[at]
        return to_q, to_k, to_v, None, None


def _parts(q: Tensor) -> Iterator[tuple[int, slice]]:
    """A few heads of one image, and so on."""
    for image in range(q.shape[0]):
        for head in range(0, q.shape[1], HEADS):
            yield image, slice(head, head + HEADS)


def _probabilities(q: Tensor, k: Tensor, visible: Tensor | None, image: int) -> Tensor:
    score = q @ k.mT
    if visible is not None:
        score += torch.zeros(visible.shape[-1]).masked_fill_(~visible[image, 0, 0], -torch.inf)
    return score.softmax(-1)


def _beside(x: Tensor, width: int) -> Tensor:
    """An empty tensor (B H S width) in which the heads of a token lie side by side, as `split_heads` leaves them."""
    return x.new_empty(x.shape[0], x.shape[2], x.shape[1], width).transpose(1, 2)
