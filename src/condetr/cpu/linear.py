"""Linear layers on a CPU, by oneDNN: large ones are faster in training than torch's own, and a ReLU joins the pass."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..shapes import Float
from .available import on_cpu, ramp, usable

Activation = Literal["none", "relu"]  # computed in the same pass

# Weights of a layer from which oneDNN is faster, in training and in prediction. Below, a call costs more than it saves:
# 64 x 64 takes more than twice as long. The number of rows has no say, so a layer always uses the same kernel.
LARGE_IN_TRAINING = 256 * 1024
LARGE = 256 * 256
NARROW = 4  # inputs up to which the gradient of a weight is faster in the other layout


def fused_linear(
    x: Float[Tensor, "*any _i"],
    weight: Float[Tensor, "_o _i"],
    bias: Float[Tensor, " _o"] | None,
    activation: Activation,
) -> Float[Tensor, "*any _o"]:
    """x W^T + b, or its ReLU. Without gradients."""
    if weight.numel() >= LARGE and on_cpu(x) and _usable(x.dtype):
        return _pointwise(x, weight, bias, activation)
    y = F.linear(x, weight, bias)
    return y.relu_() if activation == "relu" else y


class Linear(nn.Linear):
    """A linear layer. While it is trained on a CPU, a large one is computed by oneDNN (in float32), and one with few
    inputs with its weight in the other layout: the gradient then has rows of the many outputs instead of the few
    inputs, which takes an eighth of the time."""

    def forward(self, x: Float[Tensor, "*any _i"]) -> Float[Tensor, "*any _o"]:
        if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        if torch.is_grad_enabled() and self.weight.requires_grad and on_cpu(x):
            if self.in_features <= NARROW and self.bias is not None:
                y = torch.addmm(self.bias, x.flatten(0, -2), self.weight.mT.contiguous())
                return y.unflatten(0, x.shape[:-1])
            if self.weight.numel() >= LARGE_IN_TRAINING and x.dtype == torch.float32 and _usable(x.dtype):
                return _Linear.apply(x, self.weight, self.bias)
        return super().forward(x)


class _Linear(torch.autograd.Function):
    """y = x W^T + b"""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _pointwise(x, weight, bias, "none")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        rows = g.flatten(0, -2)
        grad_x = _pointwise(g, weight.mT, None, "none") if ctx.needs_input_grad[0] else None
        grad_bias = rows.sum(0) if ctx.needs_input_grad[2] else None
        # with gaps between the rows of a transposed matrix, oneDNN takes a thousand times as long
        rows, x = rows.contiguous(), x.flatten(0, -2).contiguous()
        return grad_x, _pointwise(rows.mT, x.mT, None, "none"), grad_bias


def _usable(dtype: torch.dtype) -> bool:
    """In other types oneDNN is not faster."""
    return dtype in (torch.float32, torch.bfloat16) and usable(_probe, dtype)


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], "")


def _probe(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Both uses: with a bias and a ReLU, and with a transposed weight."""
    x, weight, bias = ramp(3, 4, dtype=dtype), ramp(5, 4, dtype=dtype), ramp(5, dtype=dtype)
    y = _pointwise(x, weight, bias, "relu")
    return _pointwise(y, weight.mT, None, "none"), F.linear(F.linear(x, weight, bias).relu(), weight.mT)
