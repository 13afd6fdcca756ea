"""COCO's matching of detections and objects, for all images, classes and IoU thresholds at once.

COCO's rule (cocoeval, evaluateImg): in each image and class, detections are matched in the order of their scores; each
takes the free object with the largest IoU, if that reaches the threshold. A detection without a match that lies in a
crowd region is ignored. The loop here runs over ranks: the best detections of all images are matched in one step, then
the second best, and so on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..shapes import Bool, Float64, Int64
from .box_table import BoxTable
from .coco import IOU_THRESHOLDS, MAX_DETECTIONS

_CELLS = 4_000_000  # image × threshold × object cells in memory at a time: about 100 MB at the peak


@dataclass(frozen=True, slots=True)
class Matches:
    """One entry for each of the best 100 detections per image and class, sorted by class and falling score (ties in the
    order of the images).

    `row` is the detection's row in the table. `correct[t]`: it is a true positive at IoU threshold t. `ignored[t]`: it
    is neither a true nor a false positive. `matched` is the row of the object matched at IoU 0.5, or -1. `objects[k]`
    is the number of objects of class k without crowd regions.
    """

    row: Int64[np.ndarray, " D"]
    image: Int64[np.ndarray, " D"]
    label: Int64[np.ndarray, " D"]
    score: Float64[np.ndarray, " D"]
    correct: Bool[np.ndarray, "T D"]
    ignored: Bool[np.ndarray, "T D"]
    matched: Int64[np.ndarray, " D"]
    objects: Int64[np.ndarray, " K"]

    def of_class(self, label: int) -> slice:
        """The entries of a class."""
        start, stop = np.searchsorted(self.label, [label, label + 1])
        return slice(int(start), int(stop))

    def select(self, keep: Bool[np.ndarray, " D"]) -> "Matches":
        """The entries to keep. Where these are the best detections, the matches are those of these detections alone."""
        return Matches(
            self.row[keep], self.image[keep], self.label[keep], self.score[keep], self.correct[:, keep],
            self.ignored[:, keep], self.matched[keep], self.objects,
        )  # fmt: skip


def match(table: BoxTable, classes: int) -> Matches:
    """Match the detections of a table with its objects, for K = `classes` labels."""
    key = table.detected_image * classes + table.detected_label
    rows = np.lexsort((-table.detected_score, key))
    rank = _rank(key[rows])
    rows, rank = rows[rank < MAX_DETECTIONS], rank[rank < MAX_DETECTIONS]
    correct = np.zeros((len(IOU_THRESHOLDS), len(rows)), bool)
    ignored = np.zeros_like(correct)
    matched = np.full(len(rows), -1)

    truth_key = table.truth_image * classes + table.truth_label
    truths = np.argsort(truth_key, kind="stable")
    for chunk in _chunks(key[rows], truth_key[truths]):
        _match_chunk(table, rows, truths, chunk, correct, ignored, matched)

    label = table.detected_label[rows]
    order = np.lexsort((-table.detected_score[rows], label))
    rows = rows[order]
    return Matches(
        rows, table.detected_image[rows], table.detected_label[rows], table.detected_score[rows],
        correct[:, order], ignored[:, order], matched[order],
        np.bincount(table.truth_label[table.is_object], minlength=classes),
    )  # fmt: skip


def box_iou(
    a: Float64[np.ndarray, "*#any 4"], b: Float64[np.ndarray, "*#any 4"], crowd: Bool[np.ndarray, "*#any"]
) -> Float64[np.ndarray, "*any"]:
    """IoU of xywh boxes, broadcasting; with a crowd region `b` it is the share of `a` inside `b`.

    The order of operations is that of pycocotools' C code.
    """
    side = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.where((side > 0).all(-1), side[..., 0] * side[..., 1], 0.0)
    area_a, area_b = a[..., 2] * a[..., 3], b[..., 2] * b[..., 3]
    union = np.where(crowd, area_a, area_a + area_b - common)
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """G groups of one image and class that have both detections and objects, those with most detections first: the
    first entry and the number of their detections, and of their objects."""

    detected: Int64[np.ndarray, " G"]
    detected_count: Int64[np.ndarray, " G"]
    truth: Int64[np.ndarray, " G"]
    truth_count: Int64[np.ndarray, " G"]


def _chunks(detected_key: np.ndarray, truth_key: np.ndarray) -> Iterator[_Chunk]:
    """Groups with similar numbers of objects share a chunk, so that padding costs little and memory stays bounded."""
    keys, truth, truth_count = np.unique(truth_key, return_index=True, return_counts=True)
    start, stop = np.searchsorted(detected_key, keys), np.searchsorted(detected_key, keys, side="right")
    groups = np.flatnonzero(stop > start)
    groups = groups[np.argsort(truth_count[groups], kind="stable")]
    while len(groups):
        cells = np.arange(1, len(groups) + 1) * truth_count[groups] * len(IOU_THRESHOLDS)
        similar = truth_count[groups] <= 2 * truth_count[groups[0]]
        take = max(1, int(((cells <= _CELLS) & similar).sum()))
        now, groups = groups[:take], groups[take:]
        now = now[np.argsort(start[now] - stop[now], kind="stable")]
        yield _Chunk(start[now], (stop - start)[now], truth[now], truth_count[now])


def _match_chunk(
    table: BoxTable, rows: np.ndarray, truths: np.ndarray, chunk: _Chunk, correct: np.ndarray, ignored: np.ndarray,
    matched: np.ndarray,
) -> None:  # fmt: skip
    """Fill in `correct`, `ignored` and `matched` for the detections of one chunk."""
    width = int(chunk.truth_count.max())
    column = np.arange(width)
    real = column < chunk.truth_count[:, None]
    which = truths[np.where(real, chunk.truth[:, None] + column, 0)]
    crowd = (table.truth_crowd[which] != 0) & real
    boxes = table.truth_box[which]
    least = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)[:, None]
    free = np.broadcast_to((real & ~crowd)[:, None, :], (len(real), len(IOU_THRESHOLDS), width)).copy()
    for rank in range(int(chunk.detected_count[0])):
        active = int((chunk.detected_count > rank).sum())
        entry = chunk.detected[:active] + rank
        iou = box_iou(table.detected_box[rows[entry]][:, None, :], boxes[:active], crowd[:active])[:, None, :]
        enough = iou >= least
        candidates = np.where(enough & free[:active], iou, -1.0)
        best = width - 1 - candidates[..., ::-1].argmax(-1)  # the last of equal IoUs, as in COCO's loop
        taken = np.take_along_axis(candidates, best[..., None], -1)[..., 0] >= 0
        group, threshold = np.nonzero(taken)
        free[group, threshold, best[group, threshold]] = False
        correct[:, entry] = taken.T
        ignored[:, entry] = (~taken & (enough & crowd[:active, None, :]).any(-1)).T
        at_half = taken[:, 0]
        matched[entry[at_half]] = which[:active][at_half, best[at_half, 0]]


def _rank(key: np.ndarray) -> np.ndarray:
    """The position of each entry among its equals, in a sorted array."""
    new = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.empty(0, int)
    return np.arange(len(key)) - np.repeat(new, np.diff(np.r_[new, len(key)]))
