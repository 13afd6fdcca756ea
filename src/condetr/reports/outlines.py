"""Outlines of boxes, drawn with antialiasing and a dark rim that makes them visible on any background."""

from collections.abc import Sequence

import numpy as np

from .colors import Color

Box = tuple[int, int, int, int]  # x1, y1, x2, y2 in whole pixels

RIM = 0.45  # darkness of the thin rim along a line


def visible_part(box: Sequence[float], width: int, height: int) -> Box | None:
    """The box in whole pixels, clipped to the image and at least one pixel wide and high.

    None for a box that lies outside the image or has coordinates that are NaN or infinite.
    """
    if not np.isfinite(box).all():
        return None
    (x1, x2), (y1, y2) = sorted((box[0], box[2])), sorted((box[1], box[3]))
    if x2 < 0 or y2 < 0 or x1 > width or y1 > height:
        return None
    left, top = min(max(round(x1), 0), width - 1), min(max(round(y1), 0), height - 1)
    return left, top, max(left + 1, min(round(x2), width)), max(top + 1, min(round(y2), height))


def draw_outline(canvas: np.ndarray, box: Box, color: Color, line: int) -> None:
    """Draw a rounded frame with a dark rim on both sides. Each side is blended alone, because a box can be large."""
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
        depth = depth_inside(x, y, box, radius)
        frame = coverage(depth) * coverage(line - depth)
        dark = coverage(depth + rim) * coverage(line + rim - depth) * RIM
        region = canvas[v1:v2, u1:u2]
        blend(region, (0, 0, 0), dark)
        blend(region, color, frame)


def depth_inside(x: np.ndarray, y: np.ndarray, box: Box, radius: float) -> np.ndarray:
    """The signed distance of each pixel to the border of a rounded rectangle, negative outside."""
    x1, y1, x2, y2 = box
    across = np.abs(x - (x1 + x2) / 2) - (x2 - x1) / 2 + radius
    down = np.abs(y - (y1 + y2) / 2) - (y2 - y1) / 2 + radius
    return radius - np.hypot(across.clip(0), down.clip(0)) - np.minimum(np.maximum(across, down), 0)


def coverage(depth: np.ndarray) -> np.ndarray:
    """The fraction of a pixel that is inside, given the depth of its middle."""
    return (depth + 0.5).clip(0, 1)


def blend(region: np.ndarray, color: Color, weight: np.ndarray) -> None:
    """Blend a color into a region of the image in place; `weight` is 1 where the color is opaque."""
    weight = np.broadcast_to(weight, region.shape[:2])[..., None].astype(np.float32)
    region[:] = np.rint(region + (np.array(color, np.float32) - region) * weight)
