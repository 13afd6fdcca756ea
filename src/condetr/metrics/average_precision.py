"""COCO's average precision from the true positives of one class, for many weightings of the images at once."""

import numpy as np

from ..shapes import Bool, Float64, Int
from .coco import RECALLS


def average_precision(correct: Bool[np.ndarray, " D"], objects: int) -> float:
    """The area under the precision–recall curve, read at 101 recalls. `correct` marks the true positives among the
    detections by falling score. NaN without objects."""
    if objects == 0:
        return float("nan")
    positions = np.flatnonzero(correct)
    return float(weighted_areas(np.ones((len(positions), 1), np.int64), positions[:, None] + 1, np.array([objects]))[0])


def weighted_areas(
    weight: Int[np.ndarray, "P R"], total: Int[np.ndarray, "P R"], objects: Int[np.ndarray, " R"]
) -> Float64[np.ndarray, " R"]:
    """The average precision under R weightings of the detections, computed from the P true positives: between true
    positives precision only falls.

    `weight` of each true positive; `total` weight of all detections up to and with it; weight of all `objects`.
    """
    correct = np.cumsum(weight, axis=0)
    precision = correct / (total + np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    # A true positive sets the precision at the recalls above the previous one's, up to its own. Recalls are compared
    # in floating point, as in COCO.
    recall = correct / np.maximum(objects, 1)
    nearest = np.rint(100 * recall).astype(np.intp)
    passed = np.where(correct > 0, nearest + (RECALLS[nearest] <= recall), 0)
    return (precision * np.diff(passed, axis=0, prepend=0)).sum(0) / len(RECALLS)
