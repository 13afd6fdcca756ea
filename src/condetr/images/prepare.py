"""The one way from images to the detector's input, in training, evaluation and use alike: resize, normalise, pad."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..config import Data
from ..shapes import Float, UInt8
from ..types import Images
from .decode import image_size, open_image

__all__ = [
    "MEAN",
    "STD",
    "Prepare",
    "fit",
    "image_size",
    "normalise",
    "open_image",
    "resize",
    "standardise",
]

MEAN = (0.485, 0.456, 0.406)  # of ImageNet, which the backbones were trained on
STD = (0.229, 0.224, 0.225)


def fit(size: tuple[int, int], short: int, longest: int) -> tuple[int, int]:
    """The (width, height) with the short side `short`, or less where the long side would exceed `longest`.

    The rule of both papers' code, their rounding included: a limited long side can miss `longest` by a pixel or so.
    Only where their rule gives a side of 0 (strips more than 2 `longest` to 1) is the answer 1 by `longest` instead.
    """
    low, high = min(size), max(size)
    if high / low * short > longest:
        short = round(longest * low / high)
    sides = (short, int(short * high / low)) if short else (1, longest)
    return sides if size[0] < size[1] else (sides[1], sides[0])


def resize(image: UInt8[np.ndarray, "_ _ 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "_ _ 3"]:
    """To (width, height), bilinear with antialiasing: Pillow's, which the published weights were trained with."""
    if size == (image.shape[1], image.shape[0]):
        return image
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def normalise(image: UInt8[np.ndarray, "H W 3"]) -> Float[Tensor, "3 H W"]:
    """From 0..255 to ImageNet's zero mean and unit deviation."""
    return standardise(torch.tensor(image))


def standardise(pixels: UInt8[Tensor, "*any H W 3"]) -> Float[Tensor, "*any 3 H W"]:
    """`normalise` for pixels wherever they are, one image or a batch; the answer keeps the channels-last memory.

    Whole rows at a time: on a CPU the innermost axis of 3 would be three times slower.
    """
    scale, shift = _affine(pixels.device)
    width = pixels.shape[-2]
    rows = _floats(pixels.flatten(-2))
    torch.addcmul(shift.repeat(width), rows, scale.repeat(width), out=rows)
    return rows.unflatten(-1, (width, 3)).movedim(-1, -3)


def _floats(pixels: UInt8[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """On a CPU in memory from numpy, which asks for large pages: touching new memory in small ones takes longer than
    what is computed into it."""
    if pixels.device.type != "cpu":
        return pixels.float()
    return torch.from_numpy(np.empty(pixels.shape, np.float32)).copy_(pixels)


@cache
def _affine(device: torch.device) -> tuple[Tensor, Tensor]:
    """(x / 255 - mean) / std as one product and one sum, for each channel."""
    mean, std = torch.tensor(MEAN, dtype=torch.float64), torch.tensor(STD, dtype=torch.float64)
    return (1 / (255 * std)).float().to(device), (-mean / std).float().to(device)


@dataclass(frozen=True, slots=True)
class Prepare:
    """Images as the detector takes them: the short side to `size` pixels, the long one to at most `longest`."""

    size: int
    longest: int

    @classmethod
    def of(cls, data: Data) -> "Prepare":
        return cls(data.size, round(data.size * data.longest))

    def fit(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (width, height) at which the detector sees an image of that (width, height)."""
        return fit(size, self.size, self.longest)

    def scale(self, image: UInt8[np.ndarray, "_ _ 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
        """The image at that size: small enough to hold many of, until they go into a batch."""
        return resize(image, self.fit((image.shape[1], image.shape[0])))

    def __call__(self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> Images:
        return pad([self.scale(image) for image in images])


def pad(scaled: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> Images:
    """Images that are already scaled, normalised and padded to the largest."""
    return Images.pad([normalise(image) for image in scaled])
