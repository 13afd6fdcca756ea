"""Large images are detected as a whole and in overlapping tiles, in which small objects keep their size."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from math import ceil

import numpy as np

from ..arguments import whole_number, wrong
from ..detections import Detections
from ..errors import CondetrError
from ..shapes import UInt8
from .batching import Scaled
from .merging import View, merge

SMALLEST = 32  # pixels of a tile
LARGEST_OVERLAP = 0.75  # which makes 16 times as many tiles as no overlap

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Tiling:
    """Square tiles with a side of `tile` pixels of the image. Neighbours share at least the fraction `overlap` of a
    side.

    An image that is larger than a tile is detected as a whole and in tiles; the detections are merged as in `merge`. A
    tile is scaled for the detector as an image is. An image that fits into a tile is not divided. Raises CondetrError
    for a tile below 32 pixels and an overlap outside 0 to 0.75.
    """

    tile: int
    overlap: float = 0.2

    def __post_init__(self) -> None:
        if whole_number(self.tile, "tile") < SMALLEST:
            raise CondetrError(f"tile {self.tile}: must be at least {SMALLEST} pixels")
        if isinstance(self.overlap, bool) or not isinstance(self.overlap, int | float):
            raise wrong(self.overlap, "overlap", "a number")
        if not 0 <= self.overlap <= LARGEST_OVERLAP:
            raise CondetrError(f"overlap {self.overlap}: must be a number between 0 and {LARGEST_OVERLAP}")

    def tiles(self, size: tuple[int, int]) -> tuple[Box, ...]:
        """The tiles of an image of (width, height), row by row, as (left, top, right, bottom); none if it fits into
        one. All have the same size: that of a tile, or that of the image along a side that is shorter. They are evenly
        spaced."""
        if max(size) <= self.tile:
            return ()
        lefts, tops = (self._starts(side) for side in size)
        width, height = (min(side, self.tile) for side in size)
        return tuple((left, top, left + width, top + height) for top in tops for left in lefts)

    def _starts(self, side: int) -> list[int]:
        free, step = side - self.tile, max(1, int(self.tile * (1 - self.overlap)))
        last = ceil(free / step) if free > 0 else 0
        return [round(i * free / last) for i in range(last + 1)] if last else [0]

    def __str__(self) -> str:
        return f"{self.tile} pixels, overlap {self.overlap:g}, and the whole image"


@dataclass(frozen=True, slots=True)
class Tiled(Scaled):
    """An image that is larger than a tile. `image` is the whole image at the detector's input size. `pixels` is the
    original, from which tiles are cut when they are needed, so that only a batch of them takes memory at a time."""

    pixels: UInt8[np.ndarray, "_ _ 3"]
    tiles: tuple[Box, ...]

    def detect(
        self,
        scale: Callable[[UInt8[np.ndarray, "_ _ 3"]], Scaled],
        detect: Callable[[list[Scaled]], list[Detections]],
        batch: int,
        queries: int,
    ) -> Detections:
        """The merged detections of the whole image and its tiles, best first. `queries` is the number of object queries
        of the detector: the queries of each view get numbers of their own.

        The whole image goes alone, then `batch` tiles at a time. Tiles have one size, so nothing is padded, and the
        detections do not depend on the batch.
        """
        whole = Scaled(self.image, self.size)
        views, found = [self._view((0, 0, *self.size), whole)], detect([whole])
        tiles = iter(self.tiles)
        while boxes := list(islice(tiles, batch)):
            scaled = [scale(self.pixels[top:bottom, left:right]) for left, top, right, bottom in boxes]
            views += map(self._view, boxes, scaled)
            found += detect(scaled)
        return merge(found, views, self.size, queries)

    @staticmethod
    def _view(box: Box, scaled: Scaled) -> View:
        return View(box, scaled.size[0] / scaled.image.shape[1])
