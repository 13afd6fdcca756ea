"""The memory that this process has: how much, and giving back what nothing uses."""

import ctypes
import gc
import resource
import sys
from contextlib import suppress
from pathlib import Path


def resident() -> int:
    """Bytes that this process has now; where only its highest is known, that."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def tidy() -> None:
    """Give back circles of objects (a drawn figure is one), and glibc's free pages."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
