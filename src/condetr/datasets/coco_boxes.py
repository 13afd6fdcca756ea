"""Whether all boxes of a COCO file are written in another form than COCO's x, y, width, height in pixels."""

import re
from typing import Any

import numpy as np

OFTEN = 0.25  # of the boxes exceed their images


_SIDES = (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height"))
_CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom"))


def box_of(value: Any) -> tuple[float, float, float, float]:
    """The four numbers of a box that is not written as a list of them: as text ("[4, 6, 12, 10]"), as a list with one
    list in it, or with names (x, y, width, height, or those of the corners). Raises ValueError, with the reason, for
    anything else."""
    if isinstance(value, str):
        value = re.split(r"[\s,;]+", value.strip("[]() \t\r\n"))
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    corners = False
    if isinstance(value, dict):
        names = next((keys for keys in (*_SIDES, *_CORNERS) if value.keys() >= set(keys)), ())
        corners = names in _CORNERS
        value = [value[key] for key in names]
    if isinstance(value, list) and len(value) == 5:
        raise ValueError("a bbox of 5 numbers: rotated boxes are not read")
    try:
        x, y, w, h = map(float, value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("no bbox of four numbers") from None
    return (x, y, w - x, h - y) if corners else (x, y, w, h)


def are_fractions(objects: list[tuple[Any, ...]]) -> bool:
    """Whether all boxes, rows with x1, y1, x2, y2 in columns 2 to 5, lie between 0 and 1, not only on whole numbers."""
    boxes = np.array([row[2:6] for row in objects], dtype=np.float64).reshape(-1, 4)
    inside = bool(((boxes > -0.01) & (boxes < 1.01)).all())
    return len(boxes) > 0 and inside and bool((boxes != np.rint(boxes)).any())


def look_like_corners(objects: list[tuple[Any, ...]], sizes: list[tuple[int, int]]) -> bool:
    """Whether many boxes exceed their images, but none would if its width and height were its right and bottom edge.

    Images without a declared size, (0, 0), are left out.
    """
    rows = [row for row in objects if min(sizes[row[0]]) > 0]
    if not rows:
        return False
    x1, y1, x2, y2 = np.array([row[2:6] for row in rows], dtype=np.float64).T
    width, height = np.array([sizes[row[0]] for row in rows], dtype=np.float64).T
    with np.errstate(invalid="ignore"):  # infinity - infinity
        right, bottom = x2 - x1, y2 - y1
    fits = (right > x1) & (bottom > y1) & (right <= width + 1) & (bottom <= height + 1)
    exceeds = (x2 > width + 1) | (y2 > height + 1)
    return bool(fits.all() and exceeds.mean() >= OFTEN)


def other_form_of_fractions(objects: list[tuple[Any, ...]], written: list[tuple[Any, ...]]) -> str | None:
    """The form of YOLO's boxes if many of them exceed their images, but none would in that form: corners, or the upper
    left corner with width and height. `objects` are rows with x1, y1, x2, y2 in columns 2 to 5, `written` likewise with
    the four numbers of the file."""
    if not objects:
        return None
    boxes, numbers = (np.array([row[2:6] for row in rows], dtype=np.float64) for rows in (objects, written))
    if ((boxes < -0.01) | (boxes > 1.01)).any(1).mean() < OFTEN:
        return None
    shifted = np.concatenate([numbers[:, :2], numbers[:, :2] + numbers[:, 2:]], axis=1)
    for form, corners in (("x1, y1, x2, y2", numbers), ("x1, y1, width, height", shifted)):
        inside = (corners > -0.01).all() and (corners < 1.01).all()
        if inside and (corners[:, 2:] > corners[:, :2]).all():
            return form
    return None
