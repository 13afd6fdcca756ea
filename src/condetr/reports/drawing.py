"""Boxes and their names on an image, to be looked at: sharp lines, and labels that keep out of each other's way."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..shapes import Float, Int, UInt8
from .colors import Color, color_of, ink_on

Box = tuple[int, int, int, int]  # x1, y1, x2, y2 in whole pixels

HALO = 0.45  # darkness of the thin rim that keeps a line visible on a background of its own color
SMALLEST_FONT = 9
ROOM = 5  # an image less than so many labels high gets none: they would hide it


def draw_boxes(
    image: UInt8[np.ndarray, "H W 3"],
    boxes: Float[np.ndarray, "M 4"],
    captions: Sequence[str],
    labels: Int[np.ndarray, " M"],
    dashed: bool = False,
) -> UInt8[np.ndarray, "H W 3"]:
    """A copy of the image with boxes (xyxy in pixels, most important first), colored by label; dashed for truth.

    An empty caption draws the box alone. Captions stay inside the image, and where there is no room get shorter.
    """
    canvas = np.array(image)
    height, width = canvas.shape[:2]
    inside = [(i, box) for i, one in enumerate(boxes.tolist()) if (box := _visible(one, width, height))]
    scale = (width + height) / 2
    for i, box in reversed(inside):
        line = max(1, round(scale * 0.0044 * _smallness([box], scale)))
        _outline(canvas, box, color_of(int(labels[i])), line, dashed)
    printable = ["".join(c if c.isprintable() else " " for c in caption).strip() for caption in captions]
    tabs = _place(inside, printable, width, height)
    for tab, i, caption, size in reversed(tabs):
        _tab(canvas, tab, caption, color_of(int(labels[i])), size)
    return canvas


# --- lines ----------------------------------------------------------------------------------------------------------


def _visible(box: Sequence[float], width: int, height: int) -> Box | None:
    """In whole pixels inside the frame, at least one wide; None for a box that is not in the image at all."""
    if not np.isfinite(box).all():
        return None
    (x1, x2), (y1, y2) = sorted((box[0], box[2])), sorted((box[1], box[3]))
    if x2 < 0 or y2 < 0 or x1 > width or y1 > height:
        return None
    left, top = min(max(round(x1), 0), width - 1), min(max(round(y1), 0), height - 1)
    return left, top, max(left + 1, min(round(x2), width)), max(top + 1, min(round(y2), height))


def _smallness(boxes: Sequence[Box], scale: float) -> float:
    """1, and less where the boxes are small for the image, so that what they hold stays visible."""
    side = float(np.median([np.sqrt((x2 - x1) * (y2 - y1)) for x1, y1, x2, y2 in boxes]))
    return float(np.clip(side / (0.16 * scale), 0.5, 1.0))


def _outline(canvas: np.ndarray, box: Box, color: Color, line: int, dashed: bool) -> None:
    """A rounded frame with a dark rim on both sides, its four sides blended apart: a box can be as large as the sky."""
    height, width = canvas.shape[:2]
    rim = max(1.0, line / 4)
    x1, y1, x2, y2 = box
    reach = int(line + rim + 2)
    radius = min(1.5 * line + 1, (x2 - x1) / 2, (y2 - y1) / 2)
    top, bottom = max(0, y1 - reach), min(height, y2 + reach)
    left, right = max(0, x1 - reach), min(width, x2 + reach)
    corner = int(reach + radius)
    high, low = min(y1 + corner, (y1 + y2 + 1) // 2), max(y2 - corner, (y1 + y2 + 1) // 2)
    near, far = min(x1 + corner, (x1 + x2 + 1) // 2), max(x2 - corner, (x1 + x2 + 1) // 2)
    for u1, v1, u2, v2 in ((left, top, right, high), (left, low, right, bottom),
                           (left, high, near, low), (far, high, right, low)):  # fmt: skip
        if u2 <= u1 or v2 <= v1:
            continue
        x, y = np.arange(u1, u2)[None, :] + 0.5, np.arange(v1, v2)[:, None] + 0.5
        depth = _depth(x, y, box, radius)
        frame = _covered(depth) * _covered(line - depth)
        if dashed:
            frame = frame * _dashes(x, y, box, line)
        dark = _covered(depth + rim) * _covered(line + rim - depth) * HALO
        if dashed:
            dark = dark * _dashes(x, y, box, line)
        region = canvas[v1:v2, u1:u2]
        _blend(region, (0, 0, 0), dark)
        _blend(region, color, frame)


def _depth(x: np.ndarray, y: np.ndarray, box: Box, radius: float) -> np.ndarray:
    """How far inside a rounded rectangle each pixel lies; negative outside (the usual signed distance)."""
    x1, y1, x2, y2 = box
    across = np.abs(x - (x1 + x2) / 2) - (x2 - x1) / 2 + radius
    down = np.abs(y - (y1 + y2) / 2) - (y2 - y1) / 2 + radius
    return radius - np.hypot(across.clip(0), down.clip(0)) - np.minimum(np.maximum(across, down), 0)


def _covered(depth: np.ndarray) -> np.ndarray:
    """The part of a pixel that is inside, given its middle's depth."""
    return (depth + 0.5).clip(0, 1)


def _dashes(x: np.ndarray, y: np.ndarray, box: Box, line: int) -> np.ndarray:
    """1 on dashes, 0 between; along the nearer pair of sides, each side a whole number of dashes, corners drawn."""
    x1, y1, x2, y2 = box
    from_side = np.minimum(np.abs(x - x1), np.abs(x - x2))
    from_top = np.minimum(np.abs(y - y1), np.abs(y - y2))
    along_x, along_y = (_dash(p - low, high - low, line) for p, low, high in ((x, x1, x2), (y, y1, y2)))
    return np.where(from_top <= from_side, along_x, along_y)


def _dash(along: np.ndarray, length: int, line: int) -> np.ndarray:
    period = length / max(1, round(length / (6 * line + 2)))
    return ((along + 0.29 * period) % period < 0.58 * period).astype(float)


def _blend(region: np.ndarray, color: Color, weight: np.ndarray) -> None:
    weight = np.broadcast_to(weight, region.shape[:2])[..., None].astype(np.float32)
    region[:] = np.rint(region + (np.array(color, np.float32) - region) * weight)


# --- names ----------------------------------------------------------------------------------------------------------


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans from matplotlib, which brings it along: most scripts of the world, and the same everywhere."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _tab(canvas: np.ndarray, tab: Box, caption: str, color: Color, size: int) -> None:
    x1, y1, x2, y2 = tab
    region = canvas[y1:y2, x1:x2]
    x, y = np.arange(x1, x2)[None, :] + 0.5, np.arange(y1, y2)[:, None] + 0.5
    rim = canvas[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1]
    _blend(rim, (0, 0, 0), np.full(rim.shape[:2], 0.25))
    _blend(region, color, _covered(_depth(x, y, tab, radius=size * 0.22)) * 0.94)
    text = Image.new("L", (x2 - x1, y2 - y1))
    ascent, descent = _font(size).getmetrics()
    middle = (y2 - y1 + ascent - descent) / 2 + 0.02 * size
    ImageDraw.Draw(text).text((_margin(size), middle), caption, fill=255, font=_font(size), anchor="ls")
    _blend(region, ink_on(color), np.asarray(text) / 255.0)


def _margin(size: int) -> int:
    return max(2, round(size * 0.28))


def _extent(caption: str, size: int) -> tuple[int, int]:
    """(width, height) of a tab."""
    return int(np.ceil(_font(size).getlength(caption))) + 2 * _margin(size), round(size * 1.32) + 1


def _place(
    inside: Sequence[tuple[int, Box]], captions: Sequence[str], width: int, height: int
) -> list[tuple[Box, int, str, int]]:
    """(tab, number, caption, font size) for each caption, most important first, where it hides the least."""
    if not inside:
        return []
    scale = (width + height) / 2
    boxes = np.array([box for _, box in inside], float)
    full = max(SMALLEST_FONT, round(max(scale * 0.027, 11) * max(0.7, _smallness([box for _, box in inside], scale))))
    placed: list[tuple[Box, int, str, int]] = []
    tabs = np.zeros((0, 4))
    for number, (i, box) in enumerate(inside):
        others = np.delete(boxes, number, axis=0)
        options = []
        for penalty, size in ((0.0, full), (0.12, max(SMALLEST_FONT, round(full * 0.8)))):
            caption = _shortened(captions[i], size, width)
            extent = _extent(caption, size)
            if not caption or extent[1] * ROOM > height:
                continue
            for rank, tab in enumerate(_spots(box, extent, width, height)):
                grown = (tab[0] - 1, tab[1] - 1, tab[2] + 1, tab[3] + 1)
                names = _overlaps(grown, tabs).sum() / (extent[0] * extent[1])
                objects = (_overlaps(tab, others) / _areas(others)).sum()
                options.append((names + 0.25 * objects + penalty + 0.015 * rank, (tab, i, caption, size)))
        if options:
            placed.append(min(options)[1])
            tabs = np.concatenate([tabs, np.array([placed[-1][0]], float)])
    return placed


def _spots(box: Box, extent: tuple[int, int], width: int, height: int) -> list[Box]:
    """Where a tab may go, best first: above the box, in its corners, below it, beside it, then a step further off."""
    (x1, y1, x2, y2), (w, h) = box, extent
    middle = (x1 + x2 - w) // 2
    corners = [(x1, y1 - h), (x1, y1), (x2 - w, y1 - h), (x1, y2), (x2 - w, y1), (middle, y1 - h), (x1, y2 - h),
               (x2 - w, y2), (x2 - w, y2 - h), (x2, y1), (x1 - w, y1), (x2, y2 - h), (x1 - w, y2 - h),
               (x1 - w // 2, y1 - h), (x2 - w // 2, y1 - h), (x1 - w // 2, y2), (x2 - w // 2, y2),
               (x1, y1 - 2 * h), (x1, y2 + h)]  # fmt: skip
    spots = [(min(max(x, 0), width - w), y) for x, y in corners if 0 <= y <= height - h]
    spots = spots or [(min(max(x1, 0), width - w), min(max(y1 - h, 0), height - h))]
    return [(x, y, x + w, y + h) for x, y in dict.fromkeys(spots)]


def _overlaps(tab: Box, taken: Float[np.ndarray, "M 4"]) -> Float[np.ndarray, " M"]:
    low, high = np.maximum(taken[:, :2], tab[:2]), np.minimum(taken[:, 2:], tab[2:])
    return (high - low).clip(0).prod(1)


def _areas(boxes: Float[np.ndarray, "M 4"]) -> Float[np.ndarray, " M"]:
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)


def _shortened(caption: str, size: int, width: int) -> str:
    """The caption, or as much of it as is no wider than the image; nothing if not even three letters are."""
    if _extent(caption, size)[0] <= width:
        return caption
    for keep in range(len(caption) - 1, 2, -1):
        if _extent(caption[:keep] + "…", size)[0] <= width:
            return caption[:keep] + "…"
    return ""
