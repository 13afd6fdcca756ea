"""Mosaic and zoomed out images: what stands beside the papers' augmentation, drawn from random numbers of its own.

Mosaic (Bochkovskiy et al., "YOLOv4", 2020, section 3.4) shows windows of four images at once: more objects, scales and
contexts in each step. Zooming out (Liu et al., "SSD", 2016, section 3.6) shows a whole image smaller than usual.
"""

from collections.abc import Sequence

import numpy as np

from ..types import Sample
from .augment import Augmentation, Plan, Size
from .prepare import fit
from .training_image import Canvas, OneImage, Tile, TrainingImage

CENTRE = (0.3, 0.7)  # where the four tiles of a mosaic meet, as fractions of the canvas
LARGEST_ZOOM = 2.0  # how many times smaller a zoomed out image is, at most
SMALLEST_CANVAS = 16  # pixels of its short side


class Mix:
    """Turns some planned images into a mosaic or a zoomed out image."""

    def __init__(self, samples: Sequence[Sample], augmentation: Augmentation) -> None:
        self.samples, self.augment = samples, augmentation.augment
        self.mosaic_chance, self.zoom_out_chance = augmentation.mosaic_chance, augmentation.zoom_out_chance
        self.mosaic_smallest = augmentation.mosaic_smallest

    @property
    def active(self) -> bool:
        """Whether any image is changed."""
        return self.mosaic_chance > 0 or self.zoom_out_chance > 0

    def __call__(self, image: OneImage, random: np.random.Generator) -> TrainingImage:
        """A canvas with the image, or the image as it is."""
        if min(image.size) < SMALLEST_CANVAS:
            return image
        if random.random() < self.mosaic_chance:
            return self.mosaic(image.sample, random)
        if random.random() < self.zoom_out_chance:
            return zoomed_out(image, random)
        return image

    def mosaic(self, sample: Sample, random: np.random.Generator) -> Canvas:
        """Four tiles that meet at a random point: a window of the sample, and windows of three other random images.

        The canvas has the size that the sample alone would have.
        """
        width, height = size = fit(sample.truth.size, self.augment.draw_scale(random), self.augment.longest)
        x, y = (max(1, round(side * random.uniform(*CENTRE))) for side in size)
        others = [self.samples[int(random.integers(len(self.samples)))] for _ in range(3)]
        order = random.permutation(4)
        chosen = [(sample, *others)[i] for i in order]
        corners = [(0, 0), (x, 0), (0, y), (x, y)]
        sizes = [(x, y), (width - x, y), (x, height - y), (width - x, height - y)]
        tiles = (Tile(self._window(s, each, random), corner) for s, corner, each in zip(chosen, corners, sizes))
        return Canvas(size, tuple(tiles))

    def _window(self, sample: Sample, tile: Size, random: np.random.Generator) -> OneImage:
        """A random window of an image that fills a tile of (width, height) `tile`: objects are between
        `mosaic_smallest` times and as large as in the image alone, or larger where the image would not fill the tile.
        """
        source = sample.truth.size
        usual = fit(source, self.augment.draw_scale(random), self.augment.longest)[0] / source[0]
        scale = max(usual * random.uniform(self.mosaic_smallest, 1), *(t / s for t, s in zip(tile, source)))
        sides = [min(s, max(1, round(t / scale))) for t, s in zip(tile, source)]
        left, top = (int(random.integers(0, s - side, endpoint=True)) for s, side in zip(source, sides))
        flip = bool(random.random() < self.augment.flip_chance)
        return OneImage(sample, Plan(source, flip, source, (left, top, left + sides[0], top + sides[1]), tile))


def zoomed_out(image: OneImage, random: np.random.Generator) -> Canvas:
    """The image up to `LARGEST_ZOOM` times smaller, at a random place of a canvas of its usual size."""
    plan, zoom = image.plan, random.uniform(1, LARGEST_ZOOM)
    width, height = (max(1, round(side / zoom)) for side in plan.size)
    left, top = (int(random.integers(0, s - side, endpoint=True)) for s, side in zip(plan.size, (width, height)))
    smaller = Plan(plan.source, plan.flip, plan.enlarged, plan.crop, (width, height))
    return Canvas(plan.size, (Tile(OneImage(image.sample, smaller), (left, top)),))
