"""Boxes as arrays, x1, y1, x2, y2 in pixels: their intersection, area and IoU, broadcasting. `boxes` has those of
tensors."""

import numpy as np

from .shapes import Float

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
