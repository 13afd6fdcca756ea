"""Where a run computes: a device's name as a user gives it, checked before anything is loaded."""

import torch

from ..errors import CondetrError
from .distributed import Processes


def available(name: str | None) -> str:
    """The device's name, a GPU where there is one if none is given. Raises CondetrError when this machine lacks it."""
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name).item()  # the meta device makes tensors and holds nothing
    except (RuntimeError, AssertionError, NotImplementedError):
        raise CondetrError(f"--device {name}: this machine has no such device. Try cpu") from None
    return name


def own(name: str, processes: Processes) -> torch.device:
    """This process's device: `cuda` without a number is the GPU of its place on its machine."""
    return torch.device(f"cuda:{processes.local}" if name == "cuda" else name)
