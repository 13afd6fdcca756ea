"""Boxes as arrays, x1, y1, x2, y2 in pixels: their intersection, area and IoU, broadcasting. `boxes` has those of
tensors."""

from collections.abc import Iterator

import numpy as np

from .shapes import Float, Int64

Boxes = Float[np.ndarray, "... 4"]
LEAST_UNION = 1e-6  # of two boxes without an area, whose IoU is then 0


def intersection(a: Boxes, b: Boxes) -> Boxes:
    """What two boxes have in common, as a box; a side is negative if there is nothing."""
    return np.concatenate([np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])], -1)


def area(boxes: Boxes) -> Float[np.ndarray, "..."]:
    """Of a box with a negative side, 0."""
    return np.maximum(boxes[..., 2:] - boxes[..., :2], 0).prod(-1)


def iou(a: Boxes, b: Boxes) -> Float[np.ndarray, "..."]:
    """Intersection over union, 0 for boxes without an area."""
    common = area(intersection(a, b))
    return common / np.maximum(area(a) + area(b) - common, LEAST_UNION)


def near(boxes: Float[np.ndarray, "M 4"], least: float) -> Iterator[Int64[np.ndarray, " _N"]]:
    """For each box, the indices of a few that include all whose IoU with it is above `least`: with thousands of small
    boxes, comparing all pairs would take minutes.

    An IoU is at most the ratio of the widths. So the left edges of the two are nearer than w (1 - least) / least, and
    boxes have nothing in common unless the left edge of each is left of the other's right edge.
    """
    left, right = boxes[:, 0], boxes[:, 2]
    order = np.argsort(left, kind="stable")
    margin = 1e-6 * (1 + np.abs(right) + np.abs(left))  # much more than the rounding of an IoU
    reach = (right - left) * ((1 - least) / least if least else np.inf) + margin
    first = np.searchsorted(left[order], left - reach, "left")
    last = np.searchsorted(left[order], np.minimum(left + reach, right + margin), "right")
    return (order[a:b] for a, b in zip(first.tolist(), last.tolist()))
