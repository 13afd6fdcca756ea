"""The confidence threshold of each class with the largest F1, and precision and recall there."""

from dataclasses import dataclass

import numpy as np

from .matching import Matches

LEAST_AP = 0.005  # of detections below this AP no threshold is better than another: nothing has been learned


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A class at the confidence threshold where its F1 (IoU 0.5) is largest. The threshold and the precision are NaN
    where no detection is correct; all four are NaN where the class has no object."""

    threshold: float
    f1: float
    precision: float
    recall: float


def best_operating_point(matches: Matches, label: int) -> OperatingPoint:
    entries, objects = matches.of_class(label), int(matches.objects[label])
    keep = ~matches.ignored[0, entries]
    correct, score = matches.correct[0, entries][keep], matches.score[entries][keep]
    nan = float("nan")
    if not correct.any():
        return OperatingPoint(nan, 0.0, nan, 0.0) if objects else OperatingPoint(nan, nan, nan, nan)
    true_positives, detections = np.cumsum(correct), np.arange(1, len(correct) + 1)
    f1 = 2 * true_positives / (objects + detections)
    f1[np.flatnonzero(score[:-1] == score[1:])] = -1.0  # no threshold separates equal scores
    at = int(f1.argmax())
    precision, recall = true_positives[at] / detections[at], true_positives[at] / objects
    return OperatingPoint(float(score[at]), float(f1[at]), float(precision), float(recall))
