"""torch's own defaults, whatever a caller has changed: the default dtype or device, autocast, gradients."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

AUTOCAST = ("cpu", "cuda", "mps")


@contextmanager
def thread_defaults() -> Iterator[None]:
    """While the block runs, this thread creates tensors on the CPU unless told otherwise, computes without autocast,
    and records gradients outside of `no_grad`."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.empty(0).device.type != "cpu":  # as a context, it makes each call of torch a little slower
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def torch_defaults() -> Iterator[None]:
    """As `thread_defaults`, and numbers are float32 unless told otherwise. Where the caller has changed the default
    dtype, which belongs to the whole process, it is set back at the end."""
    with thread_defaults():
        before = torch.get_default_dtype()
        if before == torch.float32:
            yield
            return
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(before)
