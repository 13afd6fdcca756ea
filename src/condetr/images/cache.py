"""Where decoded images come from: their files each time, or a cache in memory after the first time."""

import ctypes
import os
import sys
from abc import ABC, abstractmethod
from pathlib import Path

from .decode import Pixels, open_image

UNKNOWN_MEMORY = 4 << 30  # bytes; assumed where the system does not report its memory


class Reader(ABC):
    budget = 0  # bytes of decoded images that it may keep

    @abstractmethod
    def __call__(self, path: Path) -> Pixels:
        """The upright RGB image. Raises ImageError with the reason; can be called from several threads."""


class FileReader(Reader):
    """Opens the file each time."""

    def __call__(self, path: Path) -> Pixels:
        return open_image(path)


class CachedReader(Reader):
    """Keeps decoded images until `budget` bytes are used; further images are read from their files each time.

    Nothing is evicted: an epoch reads every image once, so an evicted image would be read again before the one that
    replaced it.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0
        self._images: dict[Path, Pixels] = {}

    def __call__(self, path: Path) -> Pixels:
        if (image := self._images.get(path)) is None:
            image = open_image(path)
            # not locked: two threads can exceed the budget by one image
            if self.used + image.nbytes <= self.budget:
                self.used += image.nbytes
                self._images[path] = image
        return image


def reader(cache: str, shares: int, reserved: int = 0) -> Reader:
    """The reader for the setting `data.cache`: "memory" or "none". `reserved` bytes of the budget are for others."""
    return CachedReader(cache_budget(shares) - reserved) if cache == "memory" else FileReader()


def cache_budget(shares: int) -> int:
    """Bytes that a process may use for its caches.

    At most a quarter of the machine's memory, divided by `shares`: the number of processes on this machine that each
    have such caches.
    """
    return machine_memory() // 4 // shares


def machine_memory() -> int:
    """Bytes of memory that this machine, or the container around this process, has."""
    total = _physical_memory()
    try:
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no control group, or "max": no limit
        return total


def _physical_memory() -> int:
    if sys.platform == "win32":
        return _windows_memory()
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # a system without it, or without the figure
        return UNKNOWN_MEMORY
    return total if total > 0 else UNKNOWN_MEMORY


def _windows_memory() -> int:
    class Status(ctypes.Structure):  # MEMORYSTATUSEX of the Windows API
        _fields_ = [
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "page_total", "page_free", "virtual_total",
                                                      "virtual_free", "extended_free")),
        ]  # fmt: skip

    status = Status()
    status.length = ctypes.sizeof(status)
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - only on Windows, so mypy on Linux does not know it
    return int(status.total) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else UNKNOWN_MEMORY
