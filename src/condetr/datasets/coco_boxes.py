"""Whether all boxes of a COCO file are written in another form than COCO's x, y, width, height in pixels."""

import re
from typing import Any

import numpy as np

OFTEN = 0.25  # of the boxes exceed their images
ENOUGH = 10  # boxes that are hardly all in one corner of their images

_SIDES = (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height"))
_CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom"))
CORNERS, CENTER = "x1, y1, x2, y2", "center x, center y, width, height"  # other forms of four numbers


def box_of(value: Any) -> tuple[float, float, float, float]:
    """The four numbers of a box that is not written as a list of them: as text ("[4, 6, 12, 10]"), as a list with one
    list in it, or with names (x, y, width, height, or those of the corners). Raises ValueError, with the reason, for
    anything else."""
    if isinstance(value, str):
        value = re.split(r"[\s,;]+", value.strip("[]() \t\r\n"))
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    corners = False
    if isinstance(value, list) and len(value) == 2 and all(isinstance(one, list) for one in value):
        raise ValueError("a bbox of two points: write x, y, width, height")
    if isinstance(value, dict):
        value = {str(key).lower().replace("_", ""): number for key, number in value.items()}  # xMin, x_min
        names = next((keys for keys in (*_SIDES, *_CORNERS) if value.keys() >= set(keys)), ())
        corners = names in _CORNERS
        value = [value[key] for key in names]
    if isinstance(value, list) and len(value) == 5:
        raise ValueError("a bbox of 5 numbers: rotated boxes are not read")
    if isinstance(value, list):
        value = [one.replace(",", ".") if isinstance(one, str) else one for one in value]
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


def other_form(objects: list[tuple[Any, ...]], sizes: list[tuple[int, int]]) -> str | None:
    """The form of COCO's boxes in pixels if they are no x, y, width, height: many of them exceed their images, but none
    would as corners, or around their center; or the areas of all of them are those of the boxes as corners.

    Rows can have the area in column 7. Images without a declared size, (0, 0), are left out.
    """
    rows = [row for row in objects if min(sizes[row[0]]) > 0]
    if not rows:
        return None
    x1, y1, x2, y2 = np.array([row[2:6] for row in rows], dtype=np.float64).T
    width, height = np.array([sizes[row[0]] for row in rows], dtype=np.float64).T
    with np.errstate(invalid="ignore", over="ignore"):  # infinity - infinity
        w, h = x2 - x1, y2 - y1
        corners = (w > x1) & (h > y1) & (w <= width + 1) & (h <= height + 1)
        center = (x1 >= w / 2 - 1) & (y1 >= h / 2 - 1) & (x1 + w / 2 <= width + 1) & (y1 + h / 2 <= height + 1)
    often = ((x2 > width + 1) | (y2 > height + 1)).mean() >= OFTEN
    if corners.all() and (often or (len(rows[0]) > 7 and _areas_of_corners(rows))):
        return CORNERS
    return CENTER if often and center.all() else None


def _areas_of_corners(rows: list[tuple[Any, ...]]) -> bool:
    """Whether every area is that of the box between two corners, and hardly one is width times height."""
    x, y, right, bottom, area = np.array([(*row[2:6], row[7]) for row in rows], dtype=np.float64).T
    with np.errstate(invalid="ignore", over="ignore"):
        w, h = right - x, bottom - y
        between, product = (w - x) * (h - y), w * h
        alike = np.abs(area - between) <= 0.02 * between
        return bool(alike.all() and (np.abs(area - product) > 0.02 * product).mean() > 0.5)


def without_fractions(objects: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows, and whether all their boxes are fractions of the image: COCO's four numbers between 0 and 1, not only
    whole ones. Boxes that lie in their images only as corners, or around their center, are read so."""
    boxes = np.array([row[2:6] for row in objects], dtype=np.float64).reshape(-1, 4)
    with np.errstate(invalid="ignore", over="ignore"):
        numbers = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    inside = bool(((numbers > -0.01) & (numbers < 1.01)).all())
    if not (len(boxes) and inside and (numbers != np.rint(numbers)).any()):
        return objects, False
    if (boxes < 1.01).all():
        return objects, True
    around = np.concatenate([numbers[:, :2] - numbers[:, 2:] / 2, numbers[:, :2] + numbers[:, 2:] / 2], axis=1)
    if (numbers[:, 2:] > numbers[:, :2]).all():
        boxes = numbers
    elif ((around > -0.01) & (around < 1.01)).all():
        boxes = around
    return [(*row[:2], *box, *row[6:]) for row, box in zip(objects, boxes.tolist())], True


def part_of_images(objects: list[tuple[Any, ...]], sizes: list[tuple[int, int]]) -> int | None:
    """100 or 1000 if all boxes lie so near to the upper left corner of images that are much larger: they can be in
    percent, or in thousandths, as language models write them. `None` for any others."""
    rows = [row for row in objects if min(sizes[row[0]]) > 0]
    if len(rows) < ENOUGH:
        return None
    edges = np.array([row[2:6] for row in rows], dtype=np.float64)
    least = np.array([min(sizes[row[0]]) for row in rows])
    for limit in (100, 1000):
        if (least > 1.5 * limit).all() and ((edges > -0.5) & (edges < limit + 0.5)).all():
            return limit if edges[:, 2].max() > 0.8 * limit and edges[:, 3].max() > 0.8 * limit else None
    return None


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
