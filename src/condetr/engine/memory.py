"""How much memory this process uses, and how to return what is unused to the system."""

import ctypes
import gc
import mmap
import sys
from contextlib import suppress
from pathlib import Path

import torch


def resident_memory() -> int:
    """Bytes that this process occupies now; elsewhere than on Linux the peak, and 0 where the system has no such
    figure (Windows)."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def release_memory() -> None:
    """Collect reference cycles (a drawn figure is one), and return glibc's free pages to the system."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error means that memory is used up, also on a CPU and an Apple GPU, for which torch has no error of
    its own."""
    text = str(error)
    known = "can't allocate memory" in text or "out of memory" in text
    return known or isinstance(error, torch.OutOfMemoryError | MemoryError)
