"""One set of detections from overlapping views of an image, in which each object occurs once.

Detections of the same view are not compared here: this family of detectors predicts each object once, and objects that
overlap must all stay (models with non-maximum suppression apply it afterwards). Two views can show the same object.
Their detections are merged by these rules, for each class separately:

1. A detection is cut if its box reaches an edge of its view inside the image: the object may extend beyond it.
2. Detections are ranked by score; the score of a cut detection counts half. The box of a cut object is wrong even if
   its class is certain. So the full box from a neighbouring view or the whole image is preferred, unless its score is
   less than half.
3. From the best to the worst, each remaining detection removes those of lower rank, from other views, that are the
   same object. Two full boxes are the same object if their IoU is at least 0.5. If one of them is cut, the IoU is that
   of the parts inside the area that both views show, since the views agree there. A cut box is also removed if at
   least half of it lies in a full box: the box of a cut object is often smaller than its visible part.
4. Two cut boxes of the same object become the smallest box around both, if the lower score is at least half of the
   other: no view shows the whole object, which is larger than the overlap.

All of this is done before a confidence threshold is applied, and in an order that depends only on the detections.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..box_arrays import LEAST_UNION, Boxes, area, intersection, iou
from ..detections import Detections
from ..shapes import Bool, Float, Int64

SAME = 0.5  # least IoU of two detections of an object, and least fraction of a cut box inside a full one
HALF = 0.5  # weight of the score of a cut box
NEAR = 0.02  # of the shorter side of a view: a box this close to an edge reaches it


@dataclass(frozen=True, slots=True)
class View:
    """A part of the image that was detected by itself. `box` is (left, top, right, bottom) in pixels of the image.
    `pixel` is the size of a pixel of the detector's input in pixels of the image; boxes are not more precise than
    that."""

    box: tuple[int, int, int, int]
    pixel: float


def merge(found: Sequence[Detections], views: Sequence[View], size: tuple[int, int], queries: int) -> Detections:
    """The detections of an image of (width, height) `size`, best first, from those of each view of it.

    Query q of view v becomes q + v · `queries`.
    """
    view = np.repeat(np.arange(len(views)), [len(one) for one in found])
    areas = np.array([one.box for one in views], np.float32)
    boxes = (
        np.concatenate([one.boxes.reshape(-1, 4) for one in found]).astype(np.float32) + areas[view][:, [0, 1, 0, 1]]
    )
    scores, labels = np.concatenate([one.scores for one in found]), np.concatenate([one.labels for one in found])
    numbers = np.concatenate([one.queries for one in found]) + view * queries
    cut = _cut(boxes, areas[view], size)
    pixels = np.array([one.pixel for one in views], np.float32)
    rank = np.lexsort((pixels[view], -np.where(cut, HALF * scores, scores)))  # of equal scores, the finer view first
    boxes, scores, labels, numbers = boxes[rank], scores[rank], labels[rank], numbers[rank]
    view, cut = view[rank], cut[rank]
    kept = _keep(boxes, scores, cut, list(_pairs(boxes, labels, view, cut, areas, pixels)))
    order = kept[np.argsort(-scores[kept], kind="stable")]
    return replace(
        found[0], boxes=boxes[order], scores=scores[order], labels=labels[order], queries=numbers[order], size=size
    )


def _cut(boxes: Boxes, views: Boxes, size: tuple[int, int]) -> Bool[np.ndarray, " M"]:
    """Whether a box reaches an edge of its view that is not one of the image."""
    margin = NEAR * (views[:, 2:] - views[:, :2]).min(1, keepdims=True)
    low = (boxes[:, :2] <= views[:, :2] + margin) & (views[:, :2] > 0)
    high = (boxes[:, 2:] >= views[:, 2:] - margin) & (views[:, 2:] < np.array(size))
    return (low | high).any(1)


def _pairs(
    boxes: Boxes, labels: Int64[np.ndarray, " M"], view: Int64[np.ndarray, " M"], cut: Bool[np.ndarray, " M"],
    areas: Boxes, pixels: Float[np.ndarray, " V"],
) -> Iterator[np.ndarray]:  # fmt: skip
    """Pairs of ranked detections that are the same object, the better one first; of two views at a time."""
    members = [np.flatnonzero(view == v) for v in range(len(areas))]
    for v in range(len(areas)):
        meeting = np.flatnonzero((area(intersection(areas[v], areas)) > 0) & (np.arange(len(areas)) > v))
        for w in meeting.tolist():
            i, j = members[v], members[w]
            first, second = np.nonzero(labels[i][:, None] == labels[j])
            pair = np.stack([i[first], j[second]], 1)
            pair.sort(1)
            pixel = float(max(pixels[v], pixels[w]))
            yield pair[_same(boxes[pair], cut[pair], intersection(areas[v], areas[w]), pixel)]


def _same(
    boxes: Float[np.ndarray, "P 2 4"], cut: Bool[np.ndarray, "P 2"], common: Boxes, pixel: float
) -> Bool[np.ndarray, " P"]:
    """Whether pairs of boxes are of the same object. Boxes are as precise as a pixel of the coarser view. They are
    compared with a margin of that size, which matters for the smallest boxes."""
    full = ~(cut[:, 0] | cut[:, 1])
    wide = boxes + np.array([-pixel, -pixel, pixel, pixel], np.float32)
    compared = np.where(full[:, None, None], wide, intersection(wide, common))
    shared = area(intersection(boxes[:, 0], boxes[:, 1]))
    inside = shared >= SAME * np.maximum(area(boxes[:, 1]), LEAST_UNION)
    return (iou(compared[:, 0], compared[:, 1]) >= SAME) | (inside & cut[:, 1] & ~cut[:, 0])


def _keep(
    boxes: Boxes, scores: Float[np.ndarray, " M"], cut: Bool[np.ndarray, " M"], pairs: list[np.ndarray]
) -> Int64[np.ndarray, "..."]:
    """The indices of the ranked detections that remain. In place, boxes of objects that were cut in two grow."""
    pair = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    pair = pair[np.lexsort((pair[:, 1], pair[:, 0]))]
    better, start = np.unique(pair[:, 0], return_index=True)
    left = np.ones(len(boxes), bool)
    parts = boxes.copy()
    for one, worse in zip(better.tolist(), np.split(pair[:, 1], start[1:])):
        if not left[one]:
            continue
        worse = worse[left[worse]]
        left[worse] = False
        joined = worse[cut[worse] & (scores[worse] >= HALF * scores[one])] if cut[one] else worse[:0]
        boxes[one, :2] = np.minimum(parts[one, :2], parts[joined, :2].min(0, initial=np.inf))
        boxes[one, 2:] = np.maximum(parts[one, 2:], parts[joined, 2:].max(0, initial=-np.inf))
    return np.flatnonzero(left)
