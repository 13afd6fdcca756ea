"""Where a picture's pixels come from: the file each time, or the memory of having read it before."""

import os
from abc import ABC, abstractmethod
from pathlib import Path

from .decode import Picture, open_picture


class Reader(ABC):
    budget = 0  # bytes of decoded pictures that it may keep

    @abstractmethod
    def __call__(self, path: Path) -> Picture:
        """The upright RGB picture. Raises PictureError with the reason; safe to call from several threads."""


class FromFile(Reader):
    def __call__(self, path: Path) -> Picture:
        return open_picture(path)


class FromMemory(Reader):
    """Keeps decoded pictures until `budget` bytes are full; later ones are read from their files each time.

    Nothing is thrown out for something newer: when every epoch reads everything once, that would only make room for
    pictures that are thrown out in turn before they are read again.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0
        self.kept: dict[Path, Picture] = {}

    def __call__(self, path: Path) -> Picture:
        if (picture := self.kept.get(path)) is None:
            picture = open_picture(path)
            # two threads that get here at once can overstep the budget by a picture, nothing worse
            if self.used + picture.nbytes <= self.budget:
                self.used += picture.nbytes
                self.kept[path] = picture
        return picture


def reader(cache: str, processes: int) -> Reader:
    """The reader of `data.cache`. A memory takes up to a quarter of this machine's, shared by its processes."""
    return FromMemory(_memory() // 4 // processes) if cache == "memory" else FromFile()


def _memory() -> int:
    """Bytes that this machine, or the container around us, has."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(physical, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no such group, or "max": no limit
        return physical
