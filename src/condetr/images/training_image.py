"""How one image of a training batch is made of the data set's images: one augmented image, or several on a canvas."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..shapes import Float, Int
from ..types import Sample, Target
from .augment import Pixels, Plan, Size, as_target
from .color import ColorChange

BACKGROUND = (124, 116, 104)  # ImageNet's mean color, which is normalised to about zero
LEAST_VISIBLE = 0.2  # of an object's area: an object of which less is inside its tile is dropped
LEAST_SIDE = 2.0  # pixels: a smaller object on a canvas is dropped

Load = Callable[[Path, Callable[[Pixels], Pixels]], Pixels]  # opens an image and transforms it


class TrainingImage(ABC):
    """A planned image. Its size and target are known before any image is decoded."""

    @property
    @abstractmethod
    def size(self) -> Size:
        """(width, height) in pixels."""

    @abstractmethod
    def boxes(self) -> tuple[Float[np.ndarray, "M 4"], Int[np.ndarray, " M"]]:
        """The objects' boxes, as xyxy relative to the image, and their labels."""

    @abstractmethod
    def pixels(self, load: Load) -> Pixels:
        """The image, as bytes. Raises ImageError when a file cannot be read."""

    def target(self) -> Target:
        return as_target(*self.boxes())


@dataclass(frozen=True, slots=True)
class OneImage(TrainingImage):
    """One image of the data set, augmented as planned."""

    sample: Sample
    plan: Plan

    @property
    def size(self) -> Size:
        return self.plan.size

    def boxes(self) -> tuple[Float[np.ndarray, "M 4"], Int[np.ndarray, " M"]]:
        boxes, kept = self.plan.boxes(self.sample.truth)
        return boxes, self.sample.truth.labels[kept]

    def pixels(self, load: Load) -> Pixels:
        return load(self.sample.path, self.plan.image)


@dataclass(frozen=True, slots=True)
class Tile:
    """An augmented image with its top left corner at (x, y) `corner` of a canvas."""

    image: OneImage
    corner: Size


@dataclass(frozen=True, slots=True)
class Canvas(TrainingImage):
    """Tiles, which do not overlap, on a background of (width, height) `sides`."""

    sides: Size
    tiles: tuple[Tile, ...]

    @property
    def size(self) -> Size:
        return self.sides

    def boxes(self) -> tuple[Float[np.ndarray, "M 4"], Int[np.ndarray, " M"]]:
        """Objects that are mostly outside their tile or hardly larger than a pixel are dropped."""
        boxes, labels = zip(*(self._tile_boxes(tile) for tile in self.tiles))
        return np.concatenate(boxes) / np.array(self.size * 2), np.concatenate(labels)

    def pixels(self, load: Load) -> Pixels:
        canvas = np.empty((self.size[1], self.size[0], 3), np.uint8)
        canvas[:] = BACKGROUND
        for tile in self.tiles:
            (left, top), (width, height) = tile.corner, tile.image.size
            canvas[top : top + height, left : left + width] = tile.image.pixels(load)
        return canvas

    def _tile_boxes(self, tile: Tile) -> tuple[Float[np.ndarray, "M 4"], Int[np.ndarray, " M"]]:
        """The boxes of a tile's objects that are kept, as xyxy in pixels of the canvas, and their labels."""
        plan, truth = tile.image.plan, tile.image.sample.truth
        relative, which = plan.boxes(truth)
        boxes = relative * np.array(plan.size * 2)
        scale = np.array(plan.enlarged) / plan.source * plan.size / (np.array(plan.crop[2:]) - plan.crop[:2])
        whole = (truth.boxes[which, 2:] - truth.boxes[which, :2]) * scale
        sides = boxes[:, 2:] - boxes[:, :2]
        kept = (sides.prod(1) >= LEAST_VISIBLE * whole.prod(1)) & (sides >= LEAST_SIDE).all(1)
        return boxes[kept] + np.array(tile.corner * 2), truth.labels[which[kept]]


@dataclass(frozen=True, slots=True)
class Recolored(TrainingImage):
    """An image with changed colors."""

    image: TrainingImage
    change: ColorChange

    @property
    def size(self) -> Size:
        return self.image.size

    def boxes(self) -> tuple[Float[np.ndarray, "M 4"], Int[np.ndarray, " M"]]:
        return self.image.boxes()

    def pixels(self, load: Load) -> Pixels:
        return self.change(self.image.pixels(load))
