"""Convolutions on a CPU, by oneDNN: fused with the ReLU or addition after them, and in training with a scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from ..shapes import Float
from .available import on_cpu, ramp, usable
from .linear import Activation

Map = Float[Tensor, "B _c _h _w"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a convolution moves over its input, as (vertical, horizontal)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @classmethod
    def of(cls, conv: nn.Conv2d) -> "Geometry":
        assert not isinstance(conv.padding, str), "padding is given as a string"
        return cls(_pair(conv.stride), _pair(conv.padding), _pair(conv.dilation))


def fused_convolution(
    x: Map, weight: Float[Tensor, "_o _i _k _k"], bias: Float[Tensor, " _o"], geometry: Geometry, activation: Activation
) -> Map:
    """conv(x), or its ReLU. Without gradients."""
    g = geometry
    if on_cpu(x) and _usable(x.dtype):
        return torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, g.padding, g.stride, g.dilation, 1, activation, [], ""
        )
    y = F.conv2d(x, weight, bias, g.stride, g.padding, g.dilation)
    return y.relu_() if activation == "relu" else y


def add_convolution_(
    shortcut: Map, x: Map, weight: Float[Tensor, "_o _i _k _k"], bias: Float[Tensor, " _o"], geometry: Geometry
) -> Map:
    """ReLU(shortcut + conv(x)), which overwrites the shortcut. Without gradients."""
    g = geometry
    # in bfloat16 the kernel adds with channels last only, and a map of a single cell counts as channels first
    addable = x.dtype != torch.bfloat16 or not shortcut.is_contiguous()
    if on_cpu(x) and _usable(x.dtype) and addable:
        return torch.ops.mkldnn._convolution_pointwise_.binary(
            shortcut, x, weight, bias, g.padding, g.stride, g.dilation, 1, "add", 1.0, "relu", [], ""
        )
    return shortcut.add_(F.conv2d(x, weight, bias, g.stride, g.padding, g.dilation)).relu_()


def scaled_convolution(
    conv: nn.Conv2d, scale: Float[Tensor, " o"], shift: Float[Tensor, " o"], x: Float[Tensor, "B i _h _w"]
) -> Float[Tensor, "B o _H _W"]:
    """scale · conv(x) + shift, with one scale and shift for each output channel, in one pass over the pixels."""
    trained = torch.is_grad_enabled() and conv.weight.requires_grad
    autocast = x.device.type != "meta" and torch.is_autocast_enabled(x.device.type)
    if trained and not autocast and not torch.compiler.is_compiling():
        return _ScaledConvolution.apply(x, conv.weight, scale, shift, Geometry.of(conv))
    return F.conv2d(x, conv.weight * scale[:, None, None, None], shift, conv.stride, conv.padding, conv.dilation)


class _ScaledConvolution(torch.autograd.Function):
    """Computes the scaled weight again in the backward pass, instead of keeping it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight, scale)
        ctx.geometry = g = geometry
        return F.conv2d(x, weight * scale[:, None, None, None], shift, g.stride, g.padding, g.dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        each = scale[:, None, None, None]
        grad_weight = _grad_weight_without_avx512(g, x, weight, ctx.geometry)
        needed = (ctx.needs_input_grad[0], grad_weight is None)
        grad_x, grad_weight_onednn = (
            gradients(g, x, weight * each, ctx.geometry, needed) if any(needed) else (None, None)
        )
        grad_weight = grad_weight_onednn if grad_weight is None else grad_weight
        assert grad_weight is not None
        return grad_x, grad_weight.mul_(each), None, None, None


def _grad_weight_without_avx512(g: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor | None:
    """The gradient of a weight on a processor without AVX-512, where oneDNN is slow for channels-last tensors: one
    matrix product for a 1 × 1 convolution, and otherwise from copies with the channels first. None where oneDNN is
    faster."""
    if x.device.type != "cpu" or torch.backends.cpu.get_cpu_capability() != "AVX2":
        return None
    if tuple(weight.shape[2:]) != (1, 1):
        return gradients(g.contiguous(), x.contiguous(), weight.contiguous(), geometry, (False, True))[1]
    if (geometry.stride, geometry.padding) != ((1, 1), (0, 0)):
        return None
    rows, columns = (t.permute(0, 2, 3, 1).flatten(0, 2) for t in (g, x))
    return (rows.mT @ columns)[:, :, None, None]


def gradients(
    g: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, needed: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of a convolution's input and weight, None for those that are not `needed`."""
    if usable(_probe_backward):
        return _backward(g, x, weight, geometry, needed)
    shape = (geometry.stride, geometry.padding, geometry.dilation)
    grad_x = conv2d_input(x.shape, weight, g, *shape) if needed[0] else None
    return grad_x, conv2d_weight(x, weight.shape, g, *shape) if needed[1] else None


def _backward(
    g: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, needed: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    shape = (geometry.stride, geometry.padding, geometry.dilation)
    return torch.ops.aten.convolution_backward(g, x, weight, None, *shape, False, [0, 0], 1, (*needed, False))[:2]


def _usable(dtype: torch.dtype) -> bool:
    """A processor may lack the instructions for bfloat16. In other types oneDNN is not faster."""
    return dtype in (torch.float32, torch.bfloat16) and usable(_probe_forward, dtype)


SMALL = Geometry(stride=(1, 1), padding=(1, 1), dilation=(1, 1))  # of the probes


def _probe_forward(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """With channels last, as the backbone has them: with channels first the kernel does not add in bfloat16."""
    x, weight, bias = ramp(1, 4, 5, 5, dtype=dtype), ramp(4, 4, 3, 3, dtype=dtype), ramp(4, dtype=dtype)
    x, weight = (t.contiguous(memory_format=torch.channels_last) for t in (x, weight))
    shape = (SMALL.padding, SMALL.stride, SMALL.dilation)
    y = torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *shape, 1, "relu", [], "")
    found = torch.ops.mkldnn._convolution_pointwise_.binary(
        x.clone(), y, weight, bias, *shape, 1, "add", 1.0, "relu", [], ""
    )
    expected = F.conv2d(F.conv2d(x, weight, bias, padding=1).relu(), weight, bias, padding=1)
    return found, (x + expected).relu()


def _probe_backward() -> tuple[Tensor, Tensor]:
    g, x, weight = ramp(1, 4, 5, 5), ramp(1, 3, 5, 5), ramp(4, 3, 3, 3)
    grad_x, grad_weight = _backward(g, x, weight, SMALL, (True, True))
    assert grad_x is not None and grad_weight is not None  # noqa: PT018
    expected = (
        conv2d_input(x.shape, weight, g, padding=1),
        conv2d_weight(x, weight.shape, g, padding=1),
    )
    return torch.cat([grad_x.flatten(), grad_weight.flatten()]), torch.cat([part.flatten() for part in expected])


def _pair(sizes: Sequence[int]) -> tuple[int, int]:
    first, second = sizes
    return int(first), int(second)
