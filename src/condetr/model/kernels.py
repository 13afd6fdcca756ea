"""What torch computes slowly on a CPU, computed faster in training: products and dropout. Elsewhere they are torch's.

Products: torch gives fp32 products to MKL, which on some processors reaches half of what oneDNN does. Dropout: torch
draws a random number of 64 bits for each element, one after the other; 16 bits say as well whether to keep it.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..shapes import Float

FUSED = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
# on a processor without the instructions these kernels refuse bfloat16, where torch's own way around is slow but right
FUSED_TYPES = {torch.float32} | ({torch.bfloat16} if FUSED and torch.ops.mkldnn._is_mkldnn_bf16_supported() else set())


def fused(x: Tensor) -> bool:
    """Whether oneDNN's fused kernels, which torch keeps for its own compiler, take this tensor."""
    return FUSED and x.device.type == "cpu" and x.dtype in FUSED_TYPES


class Linear(nn.Linear):
    """torch's, by oneDNN where it learns on a CPU in fp32."""

    def forward(self, x: Float[Tensor, "*any _i"]) -> Float[Tensor, "*any _o"]:
        if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        if fused(x) and x.dtype == torch.float32 and torch.is_grad_enabled() and self.weight.requires_grad:
            return _Product.apply(x, self.weight, self.bias)
        return super().forward(x)


class _Product(torch.autograd.Function):
    """y = x W^T + b"""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        rows = g.flatten(0, -2)
        to_x = _product(g, weight.mT, None) if ctx.needs_input_grad[0] else None
        return to_x, _product(rows.mT, x.flatten(0, -2).mT, None), rows.sum(0)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class Dropout(nn.Dropout):
    def forward(self, x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        return drop(x, self.p) if self.training else x


def drop(x: Float[Tensor, "*any"], rate: float) -> Float[Tensor, "*any"]:
    """Zero elements with a chance of `rate` (on a CPU to the nearest 1/65536), and scale up the others for it."""
    if not rate:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, rate)
    return _Drop.apply(x, rate)


class _Drop(torch.autograd.Function):
    """Keeps one byte an element for the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        fours, dropped = -(-x.numel() // 4), round(rate * 65536)
        draws = torch.empty(fours, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[: x.numel()]
        keep, ctx.scale = draws.view(x.shape) >= dropped - 32768, 65536 / (65536 - dropped)
        ctx.save_for_backward(keep)
        return (x * keep).mul_(ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        (keep,) = ctx.saved_tensors
        return (g * keep).mul_(ctx.scale), None
