"""Two kernels of torch's backward passes, which compute in one pass what public operations need several for."""

import torch
from torch import Tensor

from ..shapes import Float
from .available import on_cpu, ramp, usable


def where_above(x: Float[Tensor, "*any"], values: Float[Tensor, "*any"], threshold: float) -> Float[Tensor, "*any"]:
    """x where values > threshold, 0 elsewhere; in the wider of the two types."""
    if on_cpu(x) and usable(_probe_threshold):
        return torch.ops.aten.threshold_backward(x, values, threshold)
    return torch.where(values > threshold, x, 0).to(torch.promote_types(x.dtype, values.dtype))


def softmax_gradient(g: Float[Tensor, "*any L"], p: Float[Tensor, "*any L"]) -> Float[Tensor, "*any L"]:
    """The gradient of s, for p = softmax(s) over the last axis, given g, that of p: p (g - Σ g p)."""
    if on_cpu(g) and usable(_probe_softmax):
        return torch._softmax_backward_data(g, p, -1, p.dtype)
    return p * (g - (g * p).sum(-1, keepdim=True))


def _probe_threshold() -> tuple[Tensor, Tensor]:
    x, values = ramp(7, 3), ramp(3, 7).mT
    return torch.ops.aten.threshold_backward(x, values, 0.25), torch.where(values > 0.25, x, 0)


def _probe_softmax() -> tuple[Tensor, Tensor]:
    g, p = ramp(4, 5), ramp(5, 4).mT.softmax(-1)
    return torch._softmax_backward_data(g, p, -1, p.dtype), p * (g - (g * p).sum(-1, keepdim=True))
