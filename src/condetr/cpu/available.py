"""Decides which private operators of torch are used: those that are correct here, unless all are switched off.

Private operators (`torch.ops.…`, names that start with an underscore) may change or disappear with any release of
torch. Before its first use, each is called once on tiny tensors and compared with public operations. Where that fails,
or the results differ, the public operations are used instead.
"""

import os
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

VARIABLE = "CONDETR_PUBLIC_OPERATORS_ONLY"  # set to 1, it switches private operators off for a whole process

Probe = Callable[..., tuple[Tensor, Tensor]]


class _Switch:
    off = False


@contextmanager
def without_private_operators() -> Iterator[None]:
    """Within the block, only public operators of torch are used."""
    before, _Switch.off = _Switch.off, True
    try:
        yield
    finally:
        _Switch.off = before


def usable(probe: Probe, *arguments: Hashable) -> bool:
    """Whether a private operator may be used.

    `probe(*arguments)` returns the operator's result for tiny tensors on the CPU, and that of public operations.
    """
    return not _Switch.off and os.environ.get(VARIABLE, "0") in ("", "0") and _correct(probe, *arguments)


def on_cpu(x: Tensor) -> bool:
    """Whether operators for the CPU may be called for x. `torch.compile` and `torch.export` trace public ones only."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def ramp(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A tensor for probes: different numbers between -1 and 1, without using torch's random numbers."""
    values = torch.arange(torch.Size(shape).numel(), dtype=torch.float32, device="cpu")
    return (values * 2.399963).sin().view(shape).to(dtype)


@cache
def _correct(probe: Probe, *arguments: Hashable) -> bool:
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            found, expected = probe(*arguments)
    except (
        AttributeError,
        RuntimeError,
        TypeError,
    ):  # there is none of this name, for this type, or with this signature
        return False
    tolerance = 0.02 if found.dtype == torch.bfloat16 else 1e-4
    return found.dtype == expected.dtype and torch.allclose(found, expected, rtol=tolerance, atol=tolerance)
