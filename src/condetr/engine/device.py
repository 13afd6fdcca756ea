"""Which device a run computes on: the name is checked before anything is loaded."""

import torch

from ..errors import ConfigError
from .distributed import Processes


def check_device(name: str | None) -> str:
    """Return the device's name; None means a GPU where there is one (cuda, else Apple's mps), else the CPU.

    A GPU is checked without opening a CUDA context: under torchrun every process would open it on GPU 0.
    Raises ConfigError when this machine lacks the device.
    """
    name = str(name or default_device())
    try:
        device = torch.device(name)
        if device.type == "cuda":
            found = torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
        elif device.type == "mps":
            found = torch.backends.mps.is_available() and not device.index
        else:
            torch.zeros(1, device=device).item()  # the meta device creates tensors, but they have no values
            found = True
    except (RuntimeError, AssertionError, NotImplementedError):
        found = False
    if not found:
        raise ConfigError("this machine has no such device. Try cpu", setting="device", value=name)
    return name


def default_device() -> str:
    """cuda where there is a GPU, else mps where there is one, else cpu."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def local_device(name: str, processes: Processes) -> torch.device:
    """This process's device: `cuda` without a number is the GPU of its local rank.

    Raises ConfigError for one GPU that several processes would share, and for several processes on an Apple GPU,
    between which torch sends nothing.
    """
    if processes.world > 1 and name.startswith("mps"):
        reason = "a run on an Apple GPU has one process. Start it without torchrun, or use cpu"
        raise ConfigError(reason, setting="device", value=name)
    if processes.world > 1 and name.startswith("cuda:"):
        reason = "all processes would share this GPU. Give cuda: each uses one of its own (of CUDA_VISIBLE_DEVICES)"
        raise ConfigError(reason, setting="device", value=name)
    return torch.device(f"cuda:{processes.local}" if name == "cuda" else name)
