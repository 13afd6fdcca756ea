"""Linear layers and convolutions as training on a CPU wants them: quicker than torch's, and holding less."""

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
    """Whether oneDNN's fused kernels, which torch keeps for its own compiler, take this tensor.

    Not while that is at work: it fuses by itself.
    """
    return FUSED and x.device.type == "cpu" and x.dtype in FUSED_TYPES and not torch.compiler.is_compiling()


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


def scaled_convolution(
    conv: nn.Conv2d, scale: Float[Tensor, " o"], shift: Float[Tensor, " o"], x: Float[Tensor, "B i _h _w"]
) -> Float[Tensor, "B o _H _W"]:
    """scale · conv(x) + shift, a number each for every channel, in one pass over the pixels."""
    learns = torch.is_grad_enabled() and conv.weight.requires_grad
    autocast = x.device.type != "meta" and torch.is_autocast_enabled(x.device.type)
    if learns and not autocast and not torch.compiler.is_compiling():
        return _ScaledConvolution.apply(x, conv.weight, scale, shift, conv.stride, conv.padding, conv.dilation)
    return F.conv2d(x, conv.weight * scale[:, None, None, None], shift, conv.stride, conv.padding, conv.dilation)


class _ScaledConvolution(torch.autograd.Function):
    """Scales the weight again on the way back, instead of keeping a second one."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, stride: Any, padding: Any, dilation: Any
    ) -> Tensor:
        ctx.save_for_backward(x, weight, scale)
        ctx.shape = (stride, padding, dilation)
        return F.conv2d(x, weight * scale[:, None, None, None], shift, stride, padding, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        each = scale[:, None, None, None]
        own = _gradient_without_avx512(g, x, weight, ctx.shape)
        wanted = (ctx.needs_input_grad[0], own is None, False)
        to_x, theirs = _convolution_backward(g, x, weight * each, ctx.shape, wanted) if any(wanted) else (None, None)
        to_weight = theirs if own is None else own
        assert to_weight is not None
        return to_x, to_weight.mul_(each), None, None, None, None, None


def _gradient_without_avx512(g: Tensor, x: Tensor, weight: Tensor, shape: Any) -> Tensor | None:
    """The gradient of a weight, sooner than oneDNN has it from channels-last tensors on a processor without AVX-512:
    as one matrix product for 1 × 1, and else from copies with the channels first. None where oneDNN is to do it."""
    if x.device.type != "cpu" or torch.backends.cpu.get_cpu_capability() != "AVX2":
        return None
    stride, padding, _ = (tuple(one) for one in shape)
    if tuple(weight.shape[2:]) != (1, 1):
        return _convolution_backward(
            g.contiguous(), x.contiguous(), weight.contiguous(), shape, (False, True, False)
        )[1]  # fmt: skip
    if (stride, padding) != ((1, 1), (0, 0)):
        return None
    rows, columns = (t.permute(0, 2, 3, 1).flatten(0, 2) for t in (g, x))
    return (rows.mT @ columns)[:, :, None, None]


def _convolution_backward(
    g: Tensor, x: Tensor, weight: Tensor, shape: Any, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of the input and the weight, None for what is not wanted. `shape`: stride, padding, dilation."""
    return torch.ops.aten.convolution_backward(g, x, weight, None, *shape, False, [0, 0], 1, wanted)[:2]
