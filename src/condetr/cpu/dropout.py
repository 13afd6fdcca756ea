"""Dropout that is fast on a CPU and keeps almost nothing for the backward pass. On other devices it is torch's.

torch draws a random number of 64 bits for each element, one after the other, and keeps the mask. Here 16 bits decide
about an element, and the mask is not kept: the backward pass draws the same random numbers again.
"""

from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..shapes import Float
from .available import on_cpu
from .elementwise import where_above

STEPS = 2**16  # a probability is rounded to a multiple of 1 / STEPS


class DropoutMask:
    """Which elements are kept, decided by a seed that torch's global generator draws.

    `p` is the probability with which an element is dropped; `scale` is the factor of the elements that are kept.
    """

    def __init__(self, p: float) -> None:
        dropped = round(p * STEPS)
        self.seed, self.threshold = int(torch.empty((), dtype=torch.int64).random_()), dropped - STEPS / 2 - 0.5
        self.scale = STEPS / (STEPS - dropped)

    def generator(self) -> Generator:
        """A new generator: masks drawn from it are the same ones, in the same order, each time."""
        return torch.Generator().manual_seed(self.seed)

    def apply(self, x: Float[Tensor, "*any"], generator: Generator) -> Float[Tensor, "*any"]:
        """Draw the mask of the next tensor: x where it is kept, not scaled yet, and 0 where it is dropped."""
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None, generator=generator)
        numbers = draws.view(torch.int16)[: x.numel()].view(x.shape)  # four from each draw
        return where_above(x, numbers.float(), self.threshold).to(x.dtype)


class Dropout(nn.Dropout):
    def forward(self, x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        return dropout(x, self.p) if self.training else x


def dropout(x: Float[Tensor, "*any"], p: float) -> Float[Tensor, "*any"]:
    """Set elements to zero with probability p (on a CPU to the nearest 1 / 65536), and divide the others by 1 - p."""
    if not p:
        return x
    return _Dropout.apply(x, p) if on_cpu(x) else F.dropout(x, p)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        ctx.mask = mask = DropoutMask(p)
        return mask.apply(x, mask.generator()).mul_(mask.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        mask = ctx.mask
        return mask.apply(g, mask.generator()).mul_(mask.scale), None


class ReLUDropout(nn.ReLU):
    """A ReLU followed by dropout. Its output alone shows where the gradient is zero, whichever of the two caused it."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        if not self.training or not self.p:
            return F.relu(x)
        return _ReLUDropout.apply(x, self.p) if on_cpu(x) else F.dropout(F.relu(x), self.p)


class _ReLUDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        mask = DropoutMask(p)
        y = mask.apply(x, mask.generator()).relu_().mul_(mask.scale)
        ctx.save_for_backward(y)
        ctx.scale = mask.scale
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return where_above(g, y, 0.0).mul_(ctx.scale), None
