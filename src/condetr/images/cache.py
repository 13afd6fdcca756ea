"""Where an image's pixels come from: the file each time, or the memory of having read it before."""

import os
from abc import ABC, abstractmethod
from pathlib import Path

from .decode import Pixels, open_image


class Reader(ABC):
    budget = 0  # bytes of decoded images that it may keep

    @abstractmethod
    def __call__(self, path: Path) -> Pixels:
        """The upright RGB image. Raises ImageError with the reason; safe to call from several threads."""


class FromFile(Reader):
    def __call__(self, path: Path) -> Pixels:
        return open_image(path)


class FromMemory(Reader):
    """Keeps decoded images until `budget` bytes are full; later ones are read from their files each time.

    Nothing is thrown out for something newer: when every epoch reads everything once, that would only make room for
    images that are thrown out in turn before they are read again.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0
        self.kept: dict[Path, Image] = {}

    def __call__(self, path: Path) -> Pixels:
        if (image := self.kept.get(path)) is None:
            image = open_image(path)
            # two threads that get here at once can overstep the budget by an image, nothing worse
            if self.used + image.nbytes <= self.budget:
                self.used += image.nbytes
                self.kept[path] = image
        return image


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
