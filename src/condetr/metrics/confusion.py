"""Which class is taken for which: objects and answers paired by place alone, then counted by class."""

from dataclasses import dataclass

import numpy as np

from ..shapes import Float64, Int64
from .columns import Columns
from .matching import Matches, overlap
from .mistakes import by_image


@dataclass(frozen=True, slots=True)
class Confusion:
    """`counts[truth, answer]`; the last row is background taken for a class, the last column is objects missed.

    Only answers that reach their class's entry of `thresholds` count. In each image the pairs of IoU `iou` or more
    are taken one to one, largest IoU first; of equal ones the right class, then the higher score.
    """

    counts: Int64[np.ndarray, "K1 K1"]
    thresholds: Float64[np.ndarray, " K"]
    iou: float


def confusion(columns: Columns, matches: Matches, thresholds: Float64[np.ndarray, " K"], iou: float = 0.5) -> Confusion:
    classes = len(thresholds)
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    entries = np.flatnonzero((matches.score >= thresholds[matches.label]) & ~matches.ignored[0])
    answered, met = np.zeros(len(matches.row), bool), np.zeros(len(columns.truth_image), bool)
    for _, mine, truths in by_image(columns, matches, entries):
        place = overlap(columns.found_box[matches.row[mine]][:, None], columns.truth_box[truths], np.array(False))
        answer, truth = np.nonzero(place >= iou)
        other = matches.label[mine[answer]] != columns.truth_label[truths[truth]]
        order = np.lexsort((-matches.score[mine[answer]], other, -place[answer, truth]))
        for a, t in zip(mine[answer[order]].tolist(), truths[truth[order]].tolist()):
            if not answered[a] and not met[t]:
                answered[a] = met[t] = True
                counts[columns.truth_label[t], matches.label[a]] += 1
    alone = entries[~answered[entries]]
    counts[classes, :classes] = np.bincount(matches.label[alone], minlength=classes)
    counts[:classes, classes] = np.bincount(columns.truth_label[columns.plain & ~met], minlength=classes)
    return Confusion(counts, thresholds, iou)
