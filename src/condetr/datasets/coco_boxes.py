"""Whether all boxes of a COCO file are written in another form than COCO's x, y, width, height in pixels."""

from typing import Any

import numpy as np

OFTEN = 0.25  # of the boxes exceed their images


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


def look_like_fractions_of_corners(objects: list[tuple[Any, ...]], corners: list[tuple[Any, ...]]) -> bool:
    """Whether many of YOLO's boxes exceed their images, but none would if the four numbers were corners: `objects` and
    `corners` are rows with x1, y1, x2, y2, both ways, in columns 2 to 5."""
    if not objects:
        return False
    boxes, other = (np.array([row[2:6] for row in rows], dtype=np.float64) for rows in (objects, corners))
    fits = (other > -0.01).all() and (other < 1.01).all() and (other[:, 2:] > other[:, :2]).all()
    exceeds = ((boxes < -0.01) | (boxes > 1.01)).any(1)
    return bool(fits and exceeds.mean() >= OFTEN)
