"""The augmentation of both papers: flip, then either resize, or resize, crop and resize (DETR, appendix A.4).

What happens to an image is drawn before a pixel is touched. So the size and the boxes that come out are known without
decoding, and several processes agree on them without talking.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import Data
from ..errors import ImageError
from ..shapes import Float, Int, UInt8
from ..types import Target, Truth
from .prepare import fit

LONGEST_STRIP = 16  # before a crop, in multiples of the limit of the long side; only strips beyond 30 to 1 reach it

Size = tuple[int, int]
Box = tuple[int, int, int, int]
Pixels = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done to one image of (width, height) `source`, in this order: flip, resize to `enlarged`, cut out the
    xyxy box `crop`, resize to `size`. Without a crop `enlarged` is `source`, and `crop` is all of it."""

    source: Size
    flip: bool
    enlarged: Size
    crop: Box
    size: Size

    def image(self, image: Pixels) -> Pixels:
        """The pixels. Raises ImageError when the image has not the size that its labels were made for."""
        width, height = image.shape[1], image.shape[0]
        if (width, height) != self.source:
            expected = "{}×{}".format(*self.source)
            raise ImageError(f"is {width}×{height} pixels, but its labels were made for {expected}")
        pixels = torch.from_numpy(image)
        if self.flip:
            pixels = pixels.flip(1)
        left, top, right, bottom = self.crop
        pixels = resample(pixels, self.enlarged)[top:bottom, left:right]
        return resample(pixels, self.size).numpy()

    def boxes(self, truth: Truth) -> tuple[Float[np.ndarray, "M 4"], Int[np.ndarray, " M"]]:
        """The boxes that stay, as xyxy relative to the new image, and which ones they are.

        Boxes are clipped to the crop; those without area left, and crowd regions, go.
        """
        boxes = truth.boxes.astype(np.float64)
        if self.flip:
            boxes = boxes[:, [2, 1, 0, 3]]
            boxes[:, [0, 2]] = self.source[0] - boxes[:, [0, 2]]
        left, top, right, bottom = self.crop
        boxes = boxes * (np.array(self.enlarged * 2) / np.array(self.source * 2)) - np.array([left, top] * 2)
        boxes = np.clip(boxes / np.array([right - left, bottom - top] * 2), 0, 1)
        stays = ~truth.crowd & (boxes[:, 2:] > boxes[:, :2]).all(1)
        return boxes[stays], np.flatnonzero(stays)

    def target(self, truth: Truth) -> Target:
        boxes, which = self.boxes(truth)
        low, high = boxes[:, :2], boxes[:, 2:]
        cxcywh = torch.from_numpy(np.concatenate([(low + high) / 2, high - low], axis=1))
        return Target(torch.from_numpy(truth.labels[which].astype(np.int64)), cxcywh.float())


class Augment:
    """Draws plans. All sizes are the setting's fractions of `size`, rounded; at size 800 they are the papers' own."""

    def __init__(self, data: Data) -> None:
        def pixels(fraction: float) -> int:
            return max(1, round(fraction * data.size))

        self.longest = pixels(data.longest)
        self.scales = tuple(pixels(scale) for scale in data.scales)
        self.crop_scales = tuple(pixels(scale) for scale in data.crop_scales)
        self.crop_smallest, self.crop_largest = pixels(data.crop_smallest), pixels(data.crop_largest)
        self.flip_chance, self.crop_chance = data.flip_chance, data.crop_chance

    def __call__(self, image: Pixels, truth: Truth, random: np.random.Generator) -> tuple[Pixels, Target]:
        """One image as it is trained on this time, and what it contains; normalising comes later, on the device."""
        plan = self.plan(truth.size, random)
        return plan.image(image), plan.target(truth)

    def plan(self, source: Size, random: np.random.Generator) -> Plan:
        """Draw what is done to an image of (width, height) `source`."""
        flip = bool(random.random() < self.flip_chance)
        enlarged, crop, cut = source, (0, 0, *source), source
        if random.random() < self.crop_chance:
            enlarged = fit(source, _one_of(self.crop_scales, random), LONGEST_STRIP * self.longest)
            (left, right), (top, bottom) = (self._span(side, random) for side in enlarged)
            crop, cut = (left, top, right, bottom), (right - left, bottom - top)
        return Plan(source, flip, enlarged, crop, fit(cut, _one_of(self.scales, random), self.longest))

    def _span(self, side: int, random: np.random.Generator) -> tuple[int, int]:
        """A random stretch of a side: its length between the two limits, then its place."""
        largest = min(side, self.crop_largest)
        length = int(random.integers(min(self.crop_smallest, largest), largest, endpoint=True))
        start = int(random.integers(0, side - length, endpoint=True))
        return start, start + length


def resample(pixels: UInt8[Tensor, "_ _ 3"], size: Size) -> UInt8[Tensor, "_ _ 3"]:
    """To (width, height): Pillow's antialiased bilinear filter in torch's kernel for bytes.

    At most one grey level beside Pillow's, in about 3 % of the values, and several times as fast, which training's
    millions of images are worth; torchvision and transformers use this kernel too. Evaluation keeps to Pillow's.
    """
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    planes = pixels.contiguous()[None].movedim(-1, 1)  # as a batch of one first: else torch takes a slow way round
    resized = F.interpolate(planes, (size[1], size[0]), mode="bilinear", antialias=True, align_corners=False)
    return resized[0].movedim(0, -1)


def _one_of(sizes: tuple[int, ...], random: np.random.Generator) -> int:
    return sizes[int(random.integers(len(sizes)))]
