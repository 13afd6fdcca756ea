"""Which detection found which object, by COCO's rule, for all images, classes and IoU thresholds at once.

COCO's rule (cocoeval, evaluateImg): in each image and class, detections choose in the order of their scores; each
takes the free object with the largest IoU, if that reaches the threshold. One that finds no free object but lies in a
crowd region is ignored. The loop here runs over ranks: all best detections of all images choose in one step, then all
second best, and so on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..shapes import Bool, Float64, Int64
from .coco import MOST, THRESHOLDS
from .columns import Columns

_CELLS = 4_000_000  # image × threshold × object cells held at a time: about 100 MB at the peak


@dataclass(frozen=True, slots=True)
class Matches:
    """One entry a detection that counts, sorted by class, best first (ties in the order of the images).

    `row` is its row in the columns, `hit[t]` says that it found an object at threshold t, `ignored[t]` that it neither
    counts for nor against. `partner` is the row of the object found at IoU 0.5, or -1. `objects[k]` is the number of
    objects of a class, crowd regions left out.
    """

    row: Int64[np.ndarray, " D"]
    image: Int64[np.ndarray, " D"]
    label: Int64[np.ndarray, " D"]
    score: Float64[np.ndarray, " D"]
    hit: Bool[np.ndarray, "T D"]
    ignored: Bool[np.ndarray, "T D"]
    partner: Int64[np.ndarray, " D"]
    objects: Int64[np.ndarray, " K"]

    def of(self, label: int) -> slice:
        """The entries of a class."""
        start, stop = np.searchsorted(self.label, [label, label + 1])
        return slice(int(start), int(stop))


def match(columns: Columns, classes: int) -> Matches:
    key = columns.found_image * classes + columns.found_label
    rows = np.lexsort((-columns.found_score, key))
    rank = _rank(key[rows])
    rows, rank = rows[rank < MOST], rank[rank < MOST]
    hit = np.zeros((len(THRESHOLDS), len(rows)), bool)
    ignored = np.zeros_like(hit)
    partner = np.full(len(rows), -1)

    truth_key = columns.truth_image * classes + columns.truth_label
    truths = np.argsort(truth_key, kind="stable")
    for chunk in _chunks(key[rows], truth_key[truths]):
        _choose(columns, rows, truths, chunk, hit, ignored, partner)

    label = columns.found_label[rows]
    order = np.lexsort((-columns.found_score[rows], label))
    rows = rows[order]
    return Matches(
        rows, columns.found_image[rows], columns.found_label[rows], columns.found_score[rows],
        hit[:, order], ignored[:, order], partner[order],
        np.bincount(columns.truth_label[columns.plain], minlength=classes),
    )  # fmt: skip


def overlap(
    a: Float64[np.ndarray, "*#any 4"], b: Float64[np.ndarray, "*#any 4"], crowd: Bool[np.ndarray, "*#any"]
) -> Float64[np.ndarray, "*any"]:
    """IoU of xywh boxes, broadcasting; with a crowd region it is the part of `a` inside it. The order of operations is
    that of pycocotools' C code."""
    side = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.where((side > 0).all(-1), side[..., 0] * side[..., 1], 0.0)
    area_a, area_b = a[..., 2] * a[..., 3], b[..., 2] * b[..., 3]
    union = np.where(crowd, area_a, area_a + area_b - common)
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Image-and-class groups that have both: first entry and count of their detections and of their objects; most
    detections first."""

    found: Int64[np.ndarray, " G"]
    found_count: Int64[np.ndarray, " G"]
    truth: Int64[np.ndarray, " G"]
    truth_count: Int64[np.ndarray, " G"]


def _chunks(found_key: np.ndarray, truth_key: np.ndarray) -> Iterator[_Chunk]:
    """Groups of similar numbers of objects together, so that padding costs little and memory stays bounded."""
    keys, truth, truth_count = np.unique(truth_key, return_index=True, return_counts=True)
    found, stop = np.searchsorted(found_key, keys), np.searchsorted(found_key, keys, side="right")
    groups = np.flatnonzero(stop > found)
    groups = groups[np.argsort(truth_count[groups], kind="stable")]
    while len(groups):
        cells = np.arange(1, len(groups) + 1) * truth_count[groups] * len(THRESHOLDS)
        similar = truth_count[groups] <= 2 * truth_count[groups[0]]
        take = max(1, int(((cells <= _CELLS) & similar).sum()))
        now, groups = groups[:take], groups[take:]
        now = now[np.argsort(found[now] - stop[now], kind="stable")]
        yield _Chunk(found[now], (stop - found)[now], truth[now], truth_count[now])


def _choose(
    columns: Columns, rows: np.ndarray, truths: np.ndarray, chunk: _Chunk, hit: np.ndarray, ignored: np.ndarray,
    partner: np.ndarray,
) -> None:  # fmt: skip
    """Fill the entries of one chunk's detections."""
    width = int(chunk.truth_count.max())
    column = np.arange(width)
    real = column < chunk.truth_count[:, None]
    which = truths[np.where(real, chunk.truth[:, None] + column, 0)]
    crowd = (columns.truth_crowd[which] != 0) & real
    boxes = columns.truth_box[which]
    bars = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]
    free = np.broadcast_to((real & ~crowd)[:, None, :], (len(real), len(THRESHOLDS), width)).copy()
    for rank in range(int(chunk.found_count[0])):
        active = int((chunk.found_count > rank).sum())
        entry = chunk.found[:active] + rank
        iou = overlap(columns.found_box[rows[entry]][:, None, :], boxes[:active], crowd[:active])[:, None, :]
        enough = iou >= bars
        candidates = np.where(enough & free[:active], iou, -1.0)
        best = width - 1 - candidates[..., ::-1].argmax(-1)  # of equals the last, as COCO's loop does
        found = np.take_along_axis(candidates, best[..., None], -1)[..., 0] >= 0
        group, threshold = np.nonzero(found)
        free[group, threshold, best[group, threshold]] = False
        hit[:, entry] = found.T
        ignored[:, entry] = (~found & (enough & crowd[:active, None, :]).any(-1)).T
        at_half = found[:, 0]
        partner[entry[at_half]] = which[:active][at_half, best[at_half, 0]]


def _rank(key: np.ndarray) -> np.ndarray:
    """The position of each entry among its equals, in a sorted array."""
    new = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.empty(0, int)
    return np.arange(len(key)) - np.repeat(new, np.diff(np.r_[new, len(key)]))
