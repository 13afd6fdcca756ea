"""The evaluator: images are added one by one, and their metrics are computed at the end."""

from collections.abc import Sequence

import numpy as np

from ..detections import Detections
from ..shapes import Float64
from ..types import Categories, Truth
from .box_table import BoxTable, check_has_objects
from .coco import Summary, accumulate, summarise
from .metrics import Metrics, compute_metrics

_COMPACT_AFTER = 1024  # images: many small arrays take more memory than their contents


class Evaluator:
    """Collects the ground truth and the detections of images: a few kilobytes each.

    `categories` are the data set's.
    """

    def __init__(self, categories: Categories) -> None:
        self.categories = categories
        self._image_ids: set[int] = set()
        self._recent: list[BoxTable] = []
        self._compacted: list[BoxTable] = []
        self._labels: dict[Categories, np.ndarray] = {}

    def add(self, truth: Truth, detections: Detections) -> None:
        """Add an image. Detections of a class that the data set does not have are left out."""
        assert truth.image_id not in self._image_ids, f"image {truth.image_id} was added before"
        self._image_ids.add(truth.image_id)
        labels = self._label_map(detections.categories)[detections.labels]
        keep = labels >= 0
        self._recent.append(
            BoxTable(
                np.array([truth.image_id]),
                np.zeros(len(truth), np.int64),
                truth.labels.astype(np.int64),
                truth.crowd.astype(np.int64),
                truth.areas.astype(np.float64),
                _xywh(truth.boxes),
                np.zeros(int(keep.sum()), np.int64),
                labels[keep],
                detections.scores[keep].astype(np.float64),
                _xywh(detections.boxes[keep]),
            )
        )
        if len(self._recent) >= _COMPACT_AFTER:
            self._compacted.append(BoxTable.merge(self._recent))
            self._recent = []

    def table(self) -> BoxTable:
        """Everything that was added to this evaluator; `of_tables` takes such tables."""
        return BoxTable.merge([*self._compacted, *self._recent] or [BoxTable.empty()])

    @classmethod
    def of_tables(cls, tables: Sequence[BoxTable], categories: Categories) -> "Evaluator":
        """An evaluator of all images of several tables, each image once."""
        merged = cls(categories)
        merged._compacted = [BoxTable.merge(tables)]
        merged._image_ids = set(merged._compacted[0].image_ids.tolist())
        return merged

    def summary(self) -> Summary:
        """Only COCO's twelve numbers: fast. Raises DataError when no image has an object."""
        table = self.table()
        check_has_objects(table)
        return summarise(accumulate(table, len(self.categories)))

    def metrics(self, resamples: int = 1000) -> Metrics:
        """All metrics, with intervals from `resamples` bootstrap resamples. Raises DataError when no image has an
        object."""
        table = self.table()
        check_has_objects(table)
        return compute_metrics(table, self.categories, resamples)

    def _label_map(self, predicted: Categories) -> np.ndarray:
        """The data set's label for each label of the weights; -1 for a class that the data set does not have."""
        if predicted not in self._labels:
            self._labels[predicted] = np.array([*match_classes(self.categories, predicted), -1])
        return self._labels[predicted]


def match_classes(data: Categories, weights: Categories) -> tuple[int, ...]:
    """For each label of the weights the data set's label with the same name, or else with the same name apart from
    case and surrounding spaces, or else -1."""
    exact = {data.names[label]: label for label in reversed(data.real)}
    loose = {str(data.names[label]).strip().casefold(): label for label in reversed(data.real)}
    labels, used = [], set()
    for name in weights.names:
        label = -1 if name is None else exact.get(name, loose.get(name.strip().casefold(), -1))
        labels.append(-1 if label in used else label)
        used.add(label)
    return tuple(labels)


def _xywh(boxes: np.ndarray) -> Float64[np.ndarray, "M 4"]:
    boxes = boxes.astype(np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
