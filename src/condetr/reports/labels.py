"""Text labels of boxes: where each is placed so that it hides as little as possible, and how it is drawn."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..shapes import Float
from .colors import Color, ink_on
from .outlines import Box, blend, coverage, depth_inside

SMALLEST_FONT = 9  # pixels
ROOM = 5  # an image less than this many labels high gets none, because they would hide it
OWN, OTHER, SMALLER, RANK = 0.35, 0.5, 0.12, 0.015  # costs of hiding the box, other boxes, of small text, of a position
SHORTER = 0.3  # cost of a label without its last word, the score
MOST_HIDDEN = 0.5  # of a box, or of another label: a label that hides more is left out
MOST_COVERED = 0.2  # of the image, by all labels together; the first one always has its place


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: it has most scripts and is the same on every system."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def draw_label(canvas: np.ndarray, area: Box, caption: str, color: Color, size: int) -> None:
    """Draw a caption on a filled, rounded rectangle; `size` is the font's, in pixels."""
    x1, y1, x2, y2 = area
    region = canvas[y1:y2, x1:x2]
    x, y = np.arange(x1, x2)[None, :] + 0.5, np.arange(y1, y2)[:, None] + 0.5
    rim = canvas[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1]
    blend(rim, (0, 0, 0), np.full(rim.shape[:2], 0.25))
    blend(region, color, coverage(depth_inside(x, y, area, radius=size * 0.22)) * 0.94)
    text = Image.new("L", (x2 - x1, y2 - y1))
    ascent, descent = _font(size).getmetrics()
    middle = (y2 - y1 + ascent - descent) / 2 + 0.02 * size
    ImageDraw.Draw(text).text((_margin(size), middle), caption, fill=255, font=_font(size), anchor="ls")
    blend(region, ink_on(color), np.asarray(text) / 255.0)


def _margin(size: int) -> int:
    return max(2, round(size * 0.28))


def _extent(caption: str, size: int) -> tuple[int, int]:
    """Width and height of a label."""
    return int(np.ceil(_font(size).getlength(caption))) + 2 * _margin(size), round(size * 1.32) + 1


def place_labels(
    visible: Sequence[tuple[int, Box]], captions: Sequence[str], font: float, width: int, height: int
) -> list[tuple[Box, int, str, int]]:
    """Place labels of boxes (each an index in `captions` and the box), the most important first.

    Each label takes the position, size and text of the lowest cost: the fraction of it that other labels hide, and the
    fractions of its own and of other boxes that it hides. Where boxes are crowded, labels are shortened, and those that
    would hide too much are left out. Returns (label's area, index, caption, font size).
    """
    boxes = np.array([box for _, box in visible], float).reshape(-1, 4)
    full, small = max(SMALLEST_FONT, round(font)), max(SMALLEST_FONT, round(font * 0.8))
    left = MOST_COVERED * width * height
    placed: list[tuple[Box, int, str, int]] = []
    areas = np.zeros((0, 4))
    for number, (i, box) in enumerate(visible):
        short = captions[i].rpartition(" ")[0]
        options = []
        for penalty, size, text in ((0.0, full, captions[i]), (SMALLER, small, captions[i]), (SHORTER, small, short)):
            caption = _shortened(text, size, width)
            extent = _extent(caption, size)
            if not caption or extent[1] * ROOM > height or (placed and extent[0] * extent[1] > left):
                continue
            for rank, area in enumerate(_positions(box, extent, width, height)):
                grown = (area[0] - 1, area[1] - 1, area[2] + 1, area[3] + 1)
                overlaps = _overlaps(grown, areas) / (extent[0] * extent[1])
                hides = _hidden(boxes, area)
                if max(overlaps.max(initial=0), hides.max()) <= MOST_HIDDEN:
                    cost = overlaps.sum() + OWN * hides[number] + OTHER * (hides.sum() - hides[number])
                    options.append((cost + penalty + RANK * rank, (area, i, caption, size)))
        if options:
            placed.append(min(options)[1])
            areas = np.concatenate([areas, np.array([placed[-1][0]], float)])
            left -= float((areas[-1, 2:] - areas[-1, :2]).prod())
    return placed


def _positions(box: Box, extent: tuple[int, int], width: int, height: int) -> list[Box]:
    """Areas for a label, best first: above the box, below it, inside its corners, at its sides, and further away."""
    (x1, y1, x2, y2), (w, h) = box, extent
    middle = (x1 + x2 - w) // 2
    corners = [(x1, y1 - h), (x2 - w, y1 - h), (middle, y1 - h), (x1, y2), (x2 - w, y2), (middle, y2),
               (x1, y1), (x2 - w, y1), (x1, y2 - h), (x2 - w, y2 - h),
               (x2, y1), (x1 - w, y1), (x2, y2 - h), (x1 - w, y2 - h),
               (x1 - w // 2, y1 - h), (x2 - w // 2, y1 - h), (x1 - w // 2, y2), (x2 - w // 2, y2),
               (x1, y1 - 2 * h), (x1, y2 + h)]  # fmt: skip
    inside = [(min(max(x, 0), width - w), y) for x, y in corners if 0 <= y <= height - h]
    inside = inside or [(min(max(x1, 0), width - w), min(max(y1 - h, 0), height - h))]
    return [(x, y, x + w, y + h) for x, y in dict.fromkeys(inside)]


def _hidden(boxes: Float[np.ndarray, "M 4"], area: Box) -> Float[np.ndarray, " M"]:
    """The fraction of each box that an area hides."""
    return _overlaps(area, boxes) / (boxes[:, 2:] - boxes[:, :2]).prod(1)


def _overlaps(area: Box, others: Float[np.ndarray, "M 4"]) -> Float[np.ndarray, " M"]:
    """The pixels that an area has in common with each of the others."""
    low, high = np.maximum(others[:, :2], area[:2]), np.minimum(others[:, 2:], area[2:])
    return (high - low).clip(0).prod(1)


def _shortened(caption: str, size: int, width: int) -> str:
    """The caption, or its beginning if it is wider than the image; empty if fewer than three characters fit."""
    if _extent(caption, size)[0] <= width:
        return caption
    for keep in range(len(caption) - 1, 2, -1):
        if _extent(caption[:keep] + "…", size)[0] <= width:
            return caption[:keep] + "…"
    return ""
