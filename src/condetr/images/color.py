"""Random changes of brightness, contrast, saturation and hue, applied as one affine map of the RGB values."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from PIL import Image

from ..shapes import Float, UInt8

BRIGHTNESS, CONTRAST, SATURATION = 0.4, 0.4, 0.5  # largest change of each factor at strength 1
HUE = 0.05  # largest change at strength 1, in turns of the color circle
LUMA = np.array([0.299, 0.587, 0.114])  # of R, G and B: Rec. 601, as in Pillow's conversion to grey
YIQ = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])  # NTSC: hue turns I and Q


@dataclass(frozen=True, slots=True)
class ColorChange:
    """Three factors, 1 for no change, and a turn of the hue in radians."""

    brightness: float
    contrast: float
    saturation: float
    hue: float

    @classmethod
    def draw(cls, strength: float, random: np.random.Generator) -> "ColorChange":
        """A random change; `strength` multiplies the largest change of each kind."""
        b, c, s, h = random.uniform(-strength, strength, 4)
        return cls(1 + BRIGHTNESS * b, 1 + CONTRAST * c, 1 + SATURATION * s, 2 * pi * HUE * h)

    def matrix(self, grey: float) -> Float[np.ndarray, "3 4"]:
        """The affine map of an image with the mean luma `grey`, around which the contrast changes."""
        turn = np.array([[1, 0, 0], [0, cos(self.hue), -sin(self.hue)], [0, sin(self.hue), cos(self.hue)]])
        hue = np.linalg.inv(YIQ) @ turn @ YIQ
        saturation = self.saturation * np.eye(3) + (1 - self.saturation) * np.tile(LUMA, (3, 1))
        linear = self.brightness * self.contrast * saturation @ hue
        shift = self.brightness * (1 - self.contrast) * grey
        return np.concatenate([linear, np.full((3, 1), shift)], axis=1)

    def __call__(self, image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """The changed image, rounded and clipped to 0..255."""
        matrix = self.matrix(float(image.mean((0, 1)) @ LUMA))
        return np.array(Image.fromarray(image).convert("RGB", tuple(matrix.flatten().tolist())))
