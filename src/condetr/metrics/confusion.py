"""The confusion matrix: objects and detections are paired by position alone, then counted by class."""

from dataclasses import dataclass

import numpy as np

from ..shapes import Float64, Int64
from .box_table import BoxTable
from .error_types import by_image
from .matching import Matches, box_iou


@dataclass(frozen=True, slots=True)
class Confusion:
    """`counts[true class, predicted class]`, K + 1 of each: the last row counts detections of background, the last
    column missed objects.

    Only detections that reach the confidence threshold of their class count (`thresholds`). In each image, pairs with
    an IoU of at least `iou` are matched one to one, the largest IoU first; among equal IoUs pairs of the same class
    come first, then higher scores.
    """

    counts: Int64[np.ndarray, "K1 K1"]
    thresholds: Float64[np.ndarray, " K"]
    iou: float


def confusion(table: BoxTable, matches: Matches, thresholds: Float64[np.ndarray, " K"], iou: float = 0.5) -> Confusion:
    classes = len(thresholds)
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    entries = np.flatnonzero((matches.score >= thresholds[matches.label]) & ~matches.ignored[0])
    detection_paired, object_paired = np.zeros(len(matches.row), bool), np.zeros(len(table.truth_image), bool)
    for _, own, truths in by_image(table, matches, entries):
        overlaps = box_iou(table.detected_box[matches.row[own]][:, None], table.truth_box[truths], np.array(False))
        detection, truth = np.nonzero(overlaps >= iou)
        other_class = matches.label[own[detection]] != table.truth_label[truths[truth]]
        order = np.lexsort((-matches.score[own[detection]], other_class, -overlaps[detection, truth]))
        for d, t in zip(own[detection[order]].tolist(), truths[truth[order]].tolist()):
            if not detection_paired[d] and not object_paired[t]:
                detection_paired[d] = object_paired[t] = True
                counts[table.truth_label[t], matches.label[d]] += 1
    unpaired = entries[~detection_paired[entries]]
    counts[classes, :classes] = np.bincount(matches.label[unpaired], minlength=classes)
    counts[:classes, classes] = np.bincount(table.truth_label[table.is_object & ~object_paired], minlength=classes)
    return Confusion(counts, thresholds, iou)
