"""The augmentation of both papers: flip, then either resize, or resize, crop and resize (DETR, appendix A.4).

All random numbers for an image are drawn before it is decoded. So the resulting size and boxes are known without
decoding, and several processes compute the same ones without communication.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ImageError
from ..shapes import Float, Int, UInt8
from ..types import Target, Truth
from .prepare import fit

LONGEST_STRIP = 16  # limit before a crop, in multiples of the longest side; only images beyond 30 to 1 reach it

Size = tuple[int, int]
Box = tuple[int, int, int, int]
Pixels = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one image of (width, height) `source` is augmented: flip, resize to `enlarged`, cut out the xyxy box `crop`,
    resize to `size`. Without a crop `enlarged` is `source` and `crop` is the whole image."""

    source: Size
    flip: bool
    enlarged: Size
    crop: Box
    size: Size

    def image(self, image: Pixels) -> Pixels:
        """The augmented pixels. Raises ImageError when the image does not have the size that its labels assume."""
        width, height = image.shape[1], image.shape[0]
        if (width, height) != self.source:
            expected = "{}×{}".format(*self.source)
            raise ImageError(f"is {width}×{height} pixels, but its labels assume {expected}")
        pixels = torch.from_numpy(image)
        if self.flip:
            pixels = pixels.flip(1)
        left, top, right, bottom = self.crop
        pixels = resample(pixels, self.enlarged)[top:bottom, left:right]
        return resample(pixels, self.size).numpy()

    def boxes(self, truth: Truth) -> tuple[Float[np.ndarray, "M 4"], Int[np.ndarray, " M"]]:
        """The boxes that are kept, as xyxy relative to the new image, and their indices in `truth`.

        Boxes are clipped to the crop; boxes without remaining area and crowd regions are dropped.
        """
        boxes = truth.boxes.astype(np.float64)
        if self.flip:
            boxes = boxes[:, [2, 1, 0, 3]]
            boxes[:, [0, 2]] = self.source[0] - boxes[:, [0, 2]]
        left, top, right, bottom = self.crop
        boxes = boxes * (np.array(self.enlarged * 2) / np.array(self.source * 2)) - np.array([left, top] * 2)
        boxes = np.clip(boxes / np.array([right - left, bottom - top] * 2), 0, 1)
        kept = ~truth.crowd & (boxes[:, 2:] > boxes[:, :2]).all(1)
        return boxes[kept], np.flatnonzero(kept)

    def target(self, truth: Truth) -> Target:
        boxes, kept = self.boxes(truth)
        return as_target(boxes, truth.labels[kept])


@dataclass(frozen=True, slots=True)
class Augment:
    """Draws a random `Plan` for each image. Sizes are in pixels: `scales` are the short sides, of which one is drawn,
    and `longest` limits the long side. With `crop_chance`, an image is resized to one of `crop_scales`, and a window
    with sides between `crop_smallest` and `crop_largest` is cut out."""

    longest: int
    scales: tuple[int, ...]
    crop_scales: tuple[int, ...]
    crop_smallest: int
    crop_largest: int
    flip_chance: float
    crop_chance: float

    def __call__(self, image: Pixels, truth: Truth, random: np.random.Generator) -> tuple[Pixels, Target]:
        """The augmented image, still as bytes, and its target."""
        plan = self.plan(truth.size, random)
        return plan.image(image), plan.target(truth)

    def plan(self, source: Size, random: np.random.Generator) -> Plan:
        """Draw a plan for an image of (width, height) `source`."""
        flip = bool(random.random() < self.flip_chance)
        enlarged, crop, cut = source, (0, 0, *source), source
        if random.random() < self.crop_chance:
            enlarged = fit(source, _one_of(self.crop_scales, random), LONGEST_STRIP * self.longest)
            (left, right), (top, bottom) = (self._span(side, random) for side in enlarged)
            crop, cut = (left, top, right, bottom), (right - left, bottom - top)
        return Plan(source, flip, enlarged, crop, fit(cut, self.draw_scale(random), self.longest))

    def draw_scale(self, random: np.random.Generator) -> int:
        """A random short side, in pixels."""
        return _one_of(self.scales, random)

    def _span(self, side: int, random: np.random.Generator) -> tuple[int, int]:
        """A random interval of a side: its length between the two limits, then its start."""
        largest = min(side, self.crop_largest)
        length = int(random.integers(min(self.crop_smallest, largest), largest, endpoint=True))
        start = int(random.integers(0, side - length, endpoint=True))
        return start, start + length


@dataclass(frozen=True, slots=True)
class Augmentation:
    """All that may change a training image: the papers' augmentation; mosaics and zoomed out images (`images/mix.py`)
    up to the fraction `close_at` of the epochs; and random colors of this strength (0: none)."""

    augment: Augment
    mosaic_chance: float
    mosaic_smallest: float
    zoom_out_chance: float
    close_at: float
    color: float


def as_target(boxes: Float[np.ndarray, "M 4"], labels: Int[np.ndarray, " M"]) -> Target:
    """The target of an image whose objects have these relative xyxy boxes."""
    low, high = boxes[:, :2], boxes[:, 2:]
    cxcywh = np.concatenate([(low + high) / 2, high - low], axis=1).astype(np.float32)
    return Target(torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(cxcywh))


def resample(pixels: UInt8[Tensor, "_ _ 3"], size: Size) -> UInt8[Tensor, "_ _ 3"]:
    """To (width, height), with torch's version for bytes of Pillow's antialiased bilinear filter.

    About 3 % of the values differ from Pillow's, by one grey level, and it is several times as fast, which matters for
    the millions of images of a training; torchvision and transformers use it too. Evaluation uses Pillow's.
    """
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    planes = pixels.contiguous()[None].movedim(-1, 1)  # contiguous as a batch of one, else torch uses a slow path
    resized = F.interpolate(planes, (size[1], size[0]), mode="bilinear", antialias=True, align_corners=False)
    return resized[0].movedim(0, -1)


def _one_of(sizes: tuple[int, ...], random: np.random.Generator) -> int:
    return sizes[int(random.integers(len(sizes)))]
