"""Boxes from the frame that a label file uses to the frame of the upright image."""

from dataclasses import dataclass

import numpy as np

from ..shapes import Float
from .facts import ImageFacts


@dataclass(frozen=True, slots=True)
class UprightBoxes:
    """xyxy boxes in pixels of the upright image. `defect` is the name of the defect found, "" if none; `area_scale`
    is the factor by which areas changed."""

    boxes: Float[np.ndarray, "M 4"]
    defect: str
    detail: str
    area_scale: float


def to_upright(boxes: Float[np.ndarray, "M 4"], declared: tuple[int, int], facts: ImageFacts) -> UprightBoxes:
    """xyxy boxes in pixels of the declared frame to pixels of the upright image.

    The declared (width, height) shows which frame the boxes are in. It equals the upright size: the upright image.
    It equals only the stored size: the labelling tool ignored EXIF orientation, so the boxes are rotated like the
    image. It is a multiple of one of the two: the image was resized after labelling, so the boxes are scaled (unless
    they exceed the declared frame). Otherwise the boxes decide: if all of them fit the image, only the declared size
    is wrong; if not, their frame is unknown ("size_contradiction").
    """
    upright, stored = facts.upright, facts.stored
    if not all(declared):
        return UprightBoxes(boxes, "size_missing", f"the image is {_text(upright)}", 1.0)
    if declared == upright:
        if facts.orientation in (2, 3, 4) or (facts.orientation > 4 and stored == upright):
            return UprightBoxes(boxes, "orientation_ambiguous", f"EXIF orientation {facts.orientation}", 1.0)
        return UprightBoxes(boxes, "", "", 1.0)
    detail = f"declared {_text(declared)}, is {_text(upright)}"
    if declared == stored:
        detail += f", EXIF orientation {facts.orientation}"
        return UprightBoxes(orient(boxes, facts.orientation, stored), "turned_boxes", detail, 1.0)
    if abs(declared[0] - upright[0]) <= 2 and abs(declared[1] - upright[1]) <= 2:
        return UprightBoxes(boxes, "size_mismatch", detail, 1.0)
    fits_upright = _fits(boxes, upright)
    fits_declared = _fits(boxes, declared)
    if fits_declared and (_same_shape(declared, upright) or (_same_shape(declared, stored) and not fits_upright)):
        rotated = not _same_shape(declared, upright)
        frame = stored if rotated else upright
        factor = np.array([frame[0] / declared[0], frame[1] / declared[1]] * 2)
        scaled = boxes * factor
        scaled = orient(scaled, facts.orientation, stored) if rotated else scaled
        return UprightBoxes(scaled, "size_scaled", detail, float(factor[0] * factor[1]))
    return UprightBoxes(boxes, "size_mismatch" if fits_upright else "size_contradiction", detail, 1.0)


def orient(boxes: Float[np.ndarray, "M 4"], orientation: int, stored: tuple[int, int]) -> Float[np.ndarray, "M 4"]:
    """xyxy boxes of a stored image of (width, height) after its EXIF orientation is applied (EXIF 2.32, tag 0x0112)."""
    w, h = stored
    x1, y1, x2, y2 = boxes.T
    corners = {
        1: (x1, y1, x2, y2),
        2: (w - x2, y1, w - x1, y2),
        3: (w - x2, h - y2, w - x1, h - y1),
        4: (x1, h - y2, x2, h - y1),
        5: (y1, x1, y2, x2),
        6: (h - y2, x1, h - y1, x2),
        7: (h - y2, w - x2, h - y1, w - x1),
        8: (y1, w - x2, y2, w - x1),
    }
    return np.stack(corners[orientation], axis=1)


def _fits(boxes: Float[np.ndarray, "M 4"], size: tuple[int, int]) -> bool:
    """Whether no finite box exceeds the frame by more than a pixel."""
    finite = boxes[np.isfinite(boxes).all(axis=1)]
    return bool((finite[:, :2] >= -1).all() and (finite[:, 2:] <= np.array(size) + 1).all())


def _same_shape(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether `b` is `a` resized: equal aspect ratios up to rounding to whole pixels, or 1 %."""
    factor = b[0] / a[0]
    return abs(a[1] * factor - b[1]) <= max(1.0, factor, 0.01 * b[1])


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
