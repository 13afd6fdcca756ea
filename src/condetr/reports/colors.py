"""A color for each class that is easy to distinguish from the others, and the text color that is readable on it."""

from functools import cache

import numpy as np

from ..shapes import Float

Color = tuple[int, int, int]

COLORS = 96


def color_of(label: int) -> Color:
    """The color of a class, the same in every image."""
    return _palette()[label % COLORS]


@cache
def _palette() -> tuple[Color, ...]:
    """Colors, each as far as possible from all before it in OKLab, a perceptually uniform space (Ottosson 2020)."""
    grid = np.meshgrid([0.60, 0.70, 0.80], [0.10, 0.15, 0.20], np.radians(np.arange(0, 360, 6)))
    lightness, chroma, hue = (axis.reshape(-1) for axis in grid)
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], -1)
    rgb = _oklab_to_srgb(lab)
    real = ((rgb > -0.001) & (rgb < 1.001)).all(1)
    lab, rgb = lab[real], rgb[real].clip(0, 1)
    chosen = [int(np.argmin(((rgb - [1.0, 0.35, 0.2]) ** 2).sum(1)))]
    distance = ((lab - lab[chosen[0]]) ** 2).sum(1)
    while len(chosen) < COLORS:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((lab - lab[chosen[-1]]) ** 2).sum(1))
    return tuple((int(r), int(g), int(b)) for r, g, b in np.rint(rgb[chosen] * 255))


def _oklab_to_srgb(lab: Float[np.ndarray, "M 3"]) -> Float[np.ndarray, "M 3"]:
    to_cones = np.array([[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728],
                         [1, -0.0894841775, -1.2914855480]])  # fmt: skip
    to_rgb = np.array([[4.0767416621, -3.3077115913, 0.2309699292], [-1.2684380046, 2.6097574011, -0.3413193965],
                       [-0.0041960863, -0.7034186147, 1.7076147010]])  # fmt: skip
    linear = (lab @ to_cones.T) ** 3 @ to_rgb.T
    curve = 1.055 * np.abs(linear).clip(1e-9) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curve)


def ink_on(color: Color) -> Color:
    """Black or white, whichever contrasts more (WCAG 2.2, relative luminance)."""
    channels = [(c / 255 + 0.055) / 1.055 for c in color]
    luminance = sum(weight * c**2.4 for weight, c in zip((0.2126, 0.7152, 0.0722), channels))
    return (0, 0, 0) if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else (255, 255, 255)
