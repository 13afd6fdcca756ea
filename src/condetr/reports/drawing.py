"""Boxes and their labels, drawn on an image."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..shapes import Float, Int, UInt8
from .colors import color_of
from .labels import draw_label, place_labels
from .outlines import Box, draw_outline, visible_part

SMALLEST_SIDE = 400  # pixels: an image whose longer side is shorter is enlarged


def enlarge(image: UInt8[np.ndarray, "H W 3"]) -> tuple[UInt8[np.ndarray, "H2 W2 3"], int]:
    """An image large enough for lines and labels that a person can read, and the whole factor it was enlarged by.

    Boxes to be drawn on the result are multiplied by the factor, which is 1 for an image that is large enough.
    """
    height, width = image.shape[:2]
    factor = -(-SMALLEST_SIDE // max(height, width))
    if factor == 1:
        return image, 1
    large = Image.fromarray(image).resize((width * factor, height * factor), Image.Resampling.BICUBIC)
    return np.asarray(large), factor


def draw_boxes(
    image: UInt8[np.ndarray, "H W 3"],
    boxes: Float[np.ndarray, "M 4"],
    captions: Sequence[str],
    labels: Int[np.ndarray, " M"],
) -> UInt8[np.ndarray, "H W 3"]:
    """A copy of the image with boxes drawn on it.

    Args:
        image: RGB. A small one is enlarged before (see `enlarge`).
        boxes: xyxy in pixels, the most important first: it is drawn on top, and its label is placed first.
        captions: the text of each label; an empty one draws the box alone. A text wider than the image is shortened.
        labels: the index of each box's class, which selects its color.
    """
    canvas = np.array(image)
    height, width = canvas.shape[:2]
    visible = [(i, box) for i, one in enumerate(boxes.tolist()) if (box := visible_part(one, width, height))]
    scale = (width + height) / 2
    for i, box in reversed(visible):
        line = max(1, round(scale * 0.0044 * _smallness([box], scale)))
        draw_outline(canvas, box, color_of(int(labels[i])), line)
    printable = ["".join(c if c.isprintable() else " " for c in caption).strip() for caption in captions]
    font = max(scale * 0.027, 11) * max(0.7, _smallness([box for _, box in visible], scale)) if visible else 0.0
    for area, i, caption, size in reversed(place_labels(visible, printable, font, width, height)):
        draw_label(canvas, area, caption, color_of(int(labels[i])), size)
    return canvas


def _smallness(boxes: Sequence[Box], scale: float) -> float:
    """1, or less where the boxes are small in the image, so that thinner lines and smaller text leave them visible."""
    side = float(np.median([np.sqrt((x2 - x1) * (y2 - y1)) for x1, y1, x2, y2 in boxes]))
    return float(np.clip(side / (0.16 * scale), 0.5, 1.0))
