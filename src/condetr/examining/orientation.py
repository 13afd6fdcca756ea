"""Which frame a label file's boxes are in, and how they come into the one a person sees."""

from dataclasses import dataclass

import numpy as np

from ..shapes import Float
from .inspection import Facts


@dataclass(frozen=True, slots=True)
class Framed:
    """Boxes in pixels of the upright image; `finding` names the defect, if any; `area` is what areas grew by."""

    boxes: Float[np.ndarray, "M 4"]
    finding: str
    detail: str
    area: float


def into_upright(boxes: Float[np.ndarray, "M 4"], declared: tuple[int, int], facts: Facts) -> Framed:
    """Boxes in pixels of the declared frame, brought into the upright image.

    The declared size says which frame it is. Equal to the upright size: that one. Equal to the stored size only: the
    labeller saw the image before EXIF orientation, so the boxes are turned with it. A multiple of one of the two:
    the image was resized after labelling, so the boxes are scaled (unless they reach out of the declared frame).
    Otherwise the boxes decide: when they all fit, only the declared size is wrong; when they do not, nobody can tell
    what they mean ("size_contradiction").
    """
    upright, stored = facts.upright, facts.stored
    if not all(declared):
        return Framed(boxes, "size_missing", f"the image is {_text(upright)}", 1.0)
    if declared == upright:
        if facts.orientation in (2, 3, 4) or (facts.orientation > 4 and stored == upright):
            return Framed(boxes, "orientation_ambiguous", f"EXIF orientation {facts.orientation}", 1.0)
        return Framed(boxes, "", "", 1.0)
    detail = f"declared {_text(declared)}, is {_text(upright)}"
    if declared == stored:
        detail += f", EXIF orientation {facts.orientation}"
        return Framed(turn(boxes, facts.orientation, stored), "turned_boxes", detail, 1.0)
    if abs(declared[0] - upright[0]) <= 2 and abs(declared[1] - upright[1]) <= 2:
        return Framed(boxes, "size_mismatch", detail, 1.0)
    fits = _fit(boxes, upright)
    inside = _fit(boxes, declared)
    if inside and (_same_shape(declared, upright) or (_same_shape(declared, stored) and not fits)):
        turned = not _same_shape(declared, upright)
        frame = stored if turned else upright
        factor = np.array([frame[0] / declared[0], frame[1] / declared[1]] * 2)
        scaled = boxes * factor
        scaled = turn(scaled, facts.orientation, stored) if turned else scaled
        return Framed(scaled, "size_scaled", detail, float(factor[0] * factor[1]))
    return Framed(boxes, "size_mismatch" if fits else "size_contradiction", detail, 1.0)


def turn(boxes: Float[np.ndarray, "M 4"], orientation: int, stored: tuple[int, int]) -> Float[np.ndarray, "M 4"]:
    """xyxy boxes of a stored image (width, height) as its EXIF orientation shows them (EXIF 2.32, tag 0x0112)."""
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


def _fit(boxes: Float[np.ndarray, "M 4"], size: tuple[int, int]) -> bool:
    """Whether no sound box reaches out by more than a pixel."""
    sound = boxes[np.isfinite(boxes).all(axis=1)]
    return bool((sound[:, :2] >= -1).all() and (sound[:, 2:] <= np.array(size) + 1).all())


def _same_shape(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether one is the other resized: the sides agree within the rounding to whole pixels, or a hundredth."""
    factor = b[0] / a[0]
    return abs(a[1] * factor - b[1]) <= max(1.0, factor, 0.01 * b[1])


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
