"""One image's forward pass: the predictions of every query at every layer, and the attention that led to them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..detections import Detections
from ..errors import CondetrError
from ..plural import counted
from ..shapes import Float, Int, UInt8
from ..types import Categories
from .attention_maps import AttentionRecord, Part, enlarged
from .thresholds import ADVICE, ResolvedThreshold, no_detection

Point = tuple[float | int, float | int]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A query near a point: its class, its box (xyxy) and the reference point from which the last layer started, in
    pixels of the image.

    `covers`: the box contains the point. `detected`: the query gives a detection, and the class is that of the
    detection (of several, the one with the highest score). Otherwise the class is the best one, and `score` is below
    `threshold`, the confidence threshold of the class, or non-maximum suppression left the query out, or the image has
    as many better predictions as are kept.
    `suppressed`: it leaves the query out, whatever the threshold.
    """

    query: int
    label: int
    name: str
    score: float
    threshold: float
    box: tuple[float, float, float, float]
    reference: Point
    covers: bool
    detected: bool
    suppressed: bool


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image and its recorded forward pass; boxes and points are in pixels of the image.

    `image` may be scaled; `size` is the (width, height) of the original, in whose pixels boxes and points are.
    `boxes` (xyxy), `scores` and `labels` are those of every query's best class after every decoder layer; `references`
    are the reference points from which these layers started. `detections` score at least the confidence threshold, of
    which `thresholds` has one for each label; `all_detections` are the best predictions of any score, before
    non-maximum suppression at the IoU `nms` (None: there is none).
    """

    image: UInt8[np.ndarray, "height width 3"]
    size: tuple[int, int]
    categories: Categories
    threshold: ResolvedThreshold
    thresholds: tuple[float, ...]
    detections: Detections
    all_detections: Detections
    nms: float | None
    boxes: Float[np.ndarray, "S N 4"]
    scores: Float[np.ndarray, "S N"]
    labels: Int[np.ndarray, "S N"]
    references: Float[np.ndarray, "S N 2"]
    attention: AttentionRecord

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the attention maps."""
        return tuple(self.attention.padding.shape[1:])  # type: ignore[return-value]

    @property
    def heads(self) -> int:
        return self.attention.cross[0].heads

    @property
    def layers(self) -> int:
        """The number of decoder layers."""
        return len(self.attention.cross)

    @property
    def encoder_layers(self) -> int:
        return len(self.attention.encoder)

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.attention.parts

    @property
    def no_detection(self) -> str:
        """Why the image has no detection; empty where it has one."""
        return "" if len(self.detections) else no_detection(self.threshold, self.all_detections)

    def detection(self, number: int) -> tuple[int, int]:
        """Query and label of a detection; 0 is the one with the highest score."""
        count = len(self.detections)
        if not count:
            raise CondetrError(f"detection {number}: {self.no_detection}. {ADVICE}")
        if not _is_integer(number) or not 0 <= number < count:
            raise CondetrError(
                f"detection {number}: the image has {counted(count, 'detection')}, and the first is number 0"
            )
        return int(self.detections.queries[number]), int(self.detections.labels[number])

    def maps(self, queries: list[int], layer: int) -> Float[Tensor, "P H M h w"]:
        """The cross-attention maps of queries in one decoder layer; `parts` names the first axis."""
        selected = torch.tensor([queries], device=self.attention.padding.device)
        return self.attention.cross_attention(layer, selected).maps[:, 0].cpu()

    def relative_boxes(self, queries: list[int]) -> Float[Tensor, "M 4"]:
        """The queries' boxes (xyxy), relative to the image's sides."""
        return torch.tensor(self.boxes[-1, queries] / np.array([*self.size, *self.size], dtype=np.float32))

    def encoder_maps(self, layer: int, points: list[Point]) -> Float[np.ndarray, "M H h w"]:
        """The self-attention maps, in one encoder layer, of the cells that contain some points."""
        rows, columns = self.attention.encoder_grid
        (width, height) = self.size
        cells = [
            min(int(y * rows / height), rows - 1) * columns + min(int(x * columns / width), columns - 1)
            for x, y in points
        ]
        selected = torch.tensor([cells], device=self.attention.padding.device)
        maps = self.attention.self_attention(layer, selected)[0].transpose(0, 1)
        return enlarged(maps, self.grid).cpu().numpy()

    def nearest(self, at: Point, limit: int = 8) -> tuple[Candidate, ...]:
        """The queries nearest to a point: those whose box contains it by descending score, then by distance."""
        x, y = self.inside(at)
        boxes, scores, labels = self.boxes[-1], self.scores[-1].copy(), self.labels[-1].copy()
        detected = self.detected()
        for query, (label, score) in detected.items():
            labels[query], scores[query] = label, score
        beyond = np.maximum(np.maximum(boxes[:, :2] - [x, y], [x, y] - boxes[:, 2:]), 0)
        distance = np.linalg.norm(beyond, axis=1)
        queries = np.lexsort((-scores, distance))[:limit].tolist()
        left_out = self._left_out(labels[queries].tolist())
        return tuple(
            Candidate(
                query=query,
                label=int(labels[query]),
                name=self.categories.name(int(labels[query])),
                score=float(scores[query]),
                threshold=self.thresholds[int(labels[query])],
                box=tuple(boxes[query].tolist()),
                reference=tuple(self.references[-1, query].tolist()),
                covers=bool(distance[query] == 0),
                detected=query in detected,
                suppressed=(query, int(labels[query])) in left_out,
            )
            for query in queries
        )

    def detected(self) -> dict[int, tuple[int, float]]:
        """The label and the score of each query's detection, of several that with the highest score. The label may
        differ from the query's best class, where each class has its own threshold."""
        found = self.detections
        rows = zip(found.queries.tolist(), found.labels.tolist(), found.scores.tolist())
        return {query: (label, score) for query, label, score in reversed(list(rows))}  # the first is kept

    def suppressed(self) -> set[tuple[int, int]]:
        """Query and label of what reaches its threshold, but non-maximum suppression left out."""
        return _pairs(self.all_detections.filter(min_score=self.thresholds)) - _pairs(self.detections)

    def beyond(self) -> set[int]:
        """The queries whose best class reaches its threshold, but is not among the best predictions, which are kept."""
        reach = self.scores[-1] >= np.array(self.thresholds)[self.labels[-1]]
        return set(np.flatnonzero(reach).tolist()) - set(self.all_detections.queries.tolist())

    def _left_out(self, labels: list[int]) -> set[tuple[int, int]]:
        """Query and label of what non-maximum suppression leaves out, of some labels. This does not depend on a
        threshold, since only a higher score of the same label removes a detection."""
        if self.nms is None:
            return set()
        found = self.all_detections[np.isin(self.all_detections.labels, labels)]
        return _pairs(found) - _pairs(found.suppress(self.nms))

    def inside(self, at: Point) -> Point:
        """The point itself. Raises CondetrError if it is not in the image."""
        width, height = self.size
        try:
            x, y = (float(number) for number in at)
        except (TypeError, ValueError):
            raise CondetrError(f"at {at!r}: a point is two numbers, (x, y) in pixels of the image") from None
        if not (0 <= x <= width and 0 <= y <= height):
            raise CondetrError(f"at {x:g},{y:g}: outside the image, which is {width} x {height} pixels")
        return x, y

    def score(self, query: int, label: int) -> float:
        """The score of a query for a label, or for its best class if that label has none."""
        found = (self.all_detections.queries == query) & (self.all_detections.labels == label)
        return float(self.all_detections.scores[found][0]) if found.any() else float(self.scores[-1, query])


def _pairs(detections: Detections) -> set[tuple[int, int]]:
    """Query and label of each."""
    return set(zip(detections.queries.tolist(), detections.labels.tolist()))


def layer_index(number: int, layers: int) -> int:
    """A layer's index from 0, given one that may count from the end. Raises CondetrError if there is none."""
    if not _is_integer(number) or not -layers <= number < layers:
        raise CondetrError(f"layer {number}: this decoder has layers 0 to {layers - 1}; -1 is the last")
    return int(number) % layers


def _is_integer(number: object) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)
