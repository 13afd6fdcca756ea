"""Operations on a list of tensors at once, such as all gradients of a model: one call on a GPU instead of hundreds."""

import torch
from torch import Tensor

from .available import ramp, usable


def multiply_(tensors: list[Tensor], factor: float | Tensor) -> None:
    """Multiply each tensor by a number, in place."""
    if tensors and usable(_probe_multiply):
        torch._foreach_mul_(tensors, factor)
    else:
        for tensor in tensors:
            tensor.mul_(factor)


def interpolate_(tensors: list[Tensor], others: list[Tensor], weight: float) -> None:
    """Move each tensor towards its partner in `others`, in place: (1 - weight) tensor + weight other."""
    if tensors and usable(_probe_interpolate):
        torch._foreach_lerp_(tensors, others, weight)
    else:
        for tensor, other in zip(tensors, others, strict=True):
            tensor.lerp_(other, weight)


def copy_(tensors: list[Tensor], others: list[Tensor]) -> None:
    """Overwrite each tensor with its partner in `others`."""
    if tensors and usable(_probe_copy):
        torch._foreach_copy_(tensors, others)
    else:
        for tensor, other in zip(tensors, others, strict=True):
            tensor.copy_(other)


def _probe_multiply() -> tuple[Tensor, Tensor]:
    x = ramp(3)
    torch._foreach_mul_([x], torch.tensor(0.25, device="cpu"))
    torch._foreach_mul_([x], 2.0)
    return x, ramp(3) * 0.5


def _probe_interpolate() -> tuple[Tensor, Tensor]:
    x, other = ramp(3), ramp(2, 3)[1]
    torch._foreach_lerp_([x], [other], 0.25)
    return x, ramp(3).lerp(other, 0.25)


def _probe_copy() -> tuple[Tensor, Tensor]:
    x, other = torch.zeros(3, device="cpu"), ramp(3)
    torch._foreach_copy_([x], [other])
    return x, other
