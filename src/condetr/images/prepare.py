"""Decoded images to the detector's input, the same in training, evaluation and prediction: resize, normalise, pad."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

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
]

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's channels, on which the backbones were trained
STD = (0.229, 0.224, 0.225)


def fit(size: tuple[int, int], short: int, longest: int) -> tuple[int, int]:
    """The (width, height) whose short side is `short`, or less where the long side would then exceed `longest`.

    The rule of both papers' code with its rounding: a limited long side can differ from `longest` by about a pixel.
    Only where that rule gives a side of 0 (images longer than 2 `longest` to 1), the result is 1 by `longest`.
    """
    low, high = min(size), max(size)
    if high / low * short > longest:
        short = round(longest * low / high)
    sides = (short, int(short * high / low)) if short else (1, longest)
    return sides if size[0] < size[1] else (sides[1], sides[0])


def resize(image: UInt8[np.ndarray, "_ _ 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "_ _ 3"]:
    """To (width, height), with Pillow's antialiased bilinear filter, as in the training of the published weights."""
    if size == (image.shape[1], image.shape[0]):
        return image
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def normalise(pixels: UInt8[Tensor, "*any H W 3"]) -> Float[Tensor, "*any 3 H W"]:
    """From 0..255 to ImageNet's zero mean and unit deviation; the result stays channels-last in memory.

    Computed on whole rows: on a CPU an innermost axis of 3 is three times slower.
    """
    scale, shift = _affine(pixels.device)
    width = pixels.shape[-2]
    rows = _floats(pixels.flatten(-2))
    torch.addcmul(shift.repeat(width), rows, scale.repeat(width), out=rows)
    return rows.unflatten(-1, (width, 3)).movedim(-1, -3)


def _floats(pixels: UInt8[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """On a CPU in memory allocated by numpy, which requests huge pages: page faults of small pages take longer than the
    computation."""
    if pixels.device.type != "cpu":
        return pixels.float()
    return torch.from_numpy(np.empty(pixels.shape, np.float32)).copy_(pixels)


@cache
def _affine(device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale and shift of each channel: (x / 255 - mean) / std as one multiplication and one addition."""
    mean, std = np.array(MEAN), np.array(STD)  # computed by numpy: Apple GPUs have no float64
    scale, shift = (torch.from_numpy(each.astype(np.float32)) for each in (1 / (255 * std), -mean / std))
    return scale.to(device), shift.to(device)


@dataclass(frozen=True, slots=True)
class Prepare:
    """Scales images for the detector: the short side to `size` pixels, the long side to at most `longest`."""

    size: int
    longest: int

    @classmethod
    def of(cls, size: int, longest: float) -> "Prepare":
        """`longest` is here a multiple of `size`, as in the settings."""
        return cls(size, round(size * longest))

    def fit(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (width, height) to which an image of (width, height) `size` is scaled."""
        return fit(size, self.size, self.longest)

    def scale(self, image: UInt8[np.ndarray, "_ _ 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
        """The scaled image, still as bytes: many of them fit into memory until they are batched."""
        return resize(image, self.fit((image.shape[1], image.shape[0])))

    def __call__(self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> Images:
        return pad([self.scale(image) for image in images])


def pad(scaled: Sequence[UInt8[np.ndarray, "_ _ 3"]], device: torch.device | str = "cpu") -> Images:
    """Scaled images on a device, normalised and padded to the largest one.

    Bytes are moved to a GPU, a quarter of the size of normalised pixels, and normalised there.
    """
    if torch.device(device).type == "cpu":
        return Images.pad([normalise(torch.tensor(image)) for image in scaled])
    sizes = [(image.shape[1], image.shape[0]) for image in scaled]
    width, height = (max(size[side] for size in sizes) for side in (0, 1))
    pixels = torch.zeros(len(scaled), height, width, 3, dtype=torch.uint8)
    for canvas, image in zip(pixels, scaled):
        canvas[: image.shape[0], : image.shape[1]] = torch.tensor(image)
    return normalised(pixels.to(device), sizes)


def normalised(pixels: UInt8[Tensor, "B H W 3"], sizes: Sequence[tuple[int, int]]) -> Images:
    """The detector's input, computed on the device of the pixels. Each image lies in the top left corner, with its
    (width, height) of `sizes`."""
    height, width = pixels.shape[1:3]
    floats = normalise(pixels)
    padding = torch.zeros(len(pixels), height, width, dtype=torch.bool, device=pixels.device)
    for i, (w, h) in enumerate(sizes):
        floats[i, :, h:], floats[i, :, :, w:] = 0, 0
        padding[i, h:], padding[i, :, w:] = True, True
    return Images(floats, padding, ragged=any(size != (width, height) for size in sizes))
