"""All numbers of an evaluation in one value, from images seen one by one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from ..detections import Detections
from ..shapes import Float64
from ..types import Categories, Truth
from .coco import THRESHOLDS, Grid, Summary, accumulate, summarise
from .columns import Columns, check
from .confusion import Confusion, confusion
from .matching import Matches, match
from .mistakes import KINDS, Errors, errors
from .precision import Bootstrap, Calibration, Operating, best_threshold, bootstrap, calibrate

FALLBACK = 0.5  # the threshold of a class that has none of its own


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One class of the data set. AP as COCO's, NaN where the split has no object of the class. `best` is where its F1
    is largest at IoU 0.5. `precision50` and `precision75` are read at recall 0, 0.01 … 1 (NaN without objects)."""

    name: str
    category_id: int
    objects: int
    detections: int
    ap: float
    ap50: float
    ap75: float
    ar: float
    best: Operating
    precision50: Float64[np.ndarray, " R"]
    precision75: Float64[np.ndarray, " R"]


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image at the classes' best thresholds, IoU 0.5: objects found, answers that are wrong, objects missed."""

    image_id: int
    found: int
    wrong: int
    missed: int

    @property
    def f1(self) -> float:
        """1 for an image without objects and without answers: that is a right answer too."""
        total = 2 * self.found + self.wrong + self.missed
        return 2 * self.found / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a detector is on a set of images. `classes` are those of the data set, by label, gaps left out; the
    confusion's rows and columns and `thresholds` go by label, gaps kept."""

    summary: Summary
    images: int
    objects: int
    crowds: int
    detections: int
    classes: tuple[ClassResult, ...]
    thresholds: tuple[float, ...]
    confusion: Confusion
    errors: Errors
    calibration: Calibration
    bootstrap: Bootstrap
    by_image: tuple[ImageResult, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values. Undefined numbers are null; the twelve keep COCO's -1."""
        values: dict[str, Any] = _plain(self)
        values["summary"] = self.summary.named()
        values["errors"] = {
            kind: {"count": int(count), "gain_ap50": float(gain)}
            for kind, count, gain in zip(KINDS, self.errors.counts, self.errors.gains)
        }
        return values


class Scorer:
    """Takes images one by one and keeps a few numbers of each: memory grows by some kilobytes an image."""

    def __init__(self, categories: Categories) -> None:
        self.categories = categories
        self._seen: set[int] = set()
        self._parts: list[Columns] = []
        self._blocks: list[Columns] = []
        self._labels: dict[Categories, np.ndarray] = {}

    def add(self, truth: Truth, detections: Detections) -> None:
        """Count an image. Detections of a class that the data set does not name are left out of the score."""
        assert truth.image_id not in self._seen, f"image {truth.image_id} is counted already"
        self._seen.add(truth.image_id)
        labels = self._label_map(detections.categories)[detections.labels]
        keep = labels >= 0
        self._parts.append(
            Columns(
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
        if len(self._parts) >= 1024:  # many small arrays cost more than what they hold
            self._blocks.append(Columns.merge(self._parts))
            self._parts = []

    def part(self) -> Columns:
        """What this process has seen; `merge` takes such parts."""
        return Columns.merge([*self._blocks, *self._parts] or [_nothing()])

    def merge(self, parts: Sequence[Columns]) -> "Scorer":
        """A scorer of everything in the parts, each image once."""
        merged = Scorer(self.categories)
        merged._blocks = [Columns.merge(parts)]
        merged._seen = set(merged._blocks[0].image_ids.tolist())
        return merged

    def summary(self) -> Summary:
        """The twelve numbers alone: quick. Raises DataError when no image has an object."""
        columns = self.part()
        check(columns)
        return summarise(accumulate(columns, len(self.categories)))

    def result(self, resamples: int = 1000) -> Evaluation:
        """Everything. Raises DataError when no image has an object."""
        columns = self.part()
        check(columns)
        return _evaluate(columns, self.categories, resamples)

    def _label_map(self, answered: Categories) -> np.ndarray:
        """The answering weights' label → ours, by name; -1 for a class that we lack."""
        if answered not in self._labels:
            ours = labels_of(self.categories, answered)
            self._labels[answered] = np.array([*ours, -1])
        return self._labels[answered]


def labels_of(ours: Categories, theirs: Categories) -> tuple[int, ...]:
    """For each of their labels ours of the same name, else of the same name but for case and outer space, else -1."""
    exact = {ours.names[label]: label for label in reversed(ours.real)}
    loose = {str(ours.names[label]).strip().casefold(): label for label in reversed(ours.real)}
    labels, used = [], set()
    for name in theirs.names:
        label = -1 if name is None else exact.get(name, loose.get(name.strip().casefold(), -1))
        labels.append(-1 if label in used else label)
        used.add(label)
    return tuple(labels)


def measure(
    truths: Sequence[Truth], detections: Sequence[Detections], categories: Categories, resamples: int = 1000
) -> Evaluation:
    """Evaluate detections against the truth, image by image; `categories` are the data set's."""
    scorer = Scorer(categories)
    for truth, found in zip(truths, detections, strict=True):
        scorer.add(truth, found)
    return scorer.result(resamples)


def _evaluate(columns: Columns, categories: Categories, resamples: int) -> Evaluation:
    grid = accumulate(columns, len(categories))
    matches = match(columns, len(categories))
    best = {label: best_threshold(matches, label) for label in categories.real}
    thresholds = np.full(len(categories), FALLBACK)
    for label, point in best.items():
        thresholds[label] = point.threshold if math.isfinite(point.threshold) else FALLBACK
    return Evaluation(
        summary=summarise(grid),
        images=len(columns.image_ids),
        objects=int(columns.plain.sum()),
        crowds=int((~columns.plain).sum()),
        detections=len(columns.found_image),
        classes=tuple(_class(columns, grid, matches, categories, label, best[label]) for label in categories.real),
        thresholds=tuple(thresholds.tolist()),
        confusion=confusion(columns, matches, thresholds),
        errors=errors(columns, matches),
        calibration=calibrate(matches),
        bootstrap=bootstrap(columns, matches, resamples),
        by_image=_images(columns, matches, thresholds),
    )


def _class(
    columns: Columns, grid: Grid, matches: Matches, categories: Categories, label: int, best: Operating
) -> ClassResult:
    precision = np.where(grid.precision[:, :, label, 0, 2] < 0, np.nan, grid.precision[:, :, label, 0, 2])
    recall = grid.recall[:, label, 0, 2]
    per_threshold = precision.mean(1)
    half, three_quarters = (int(np.flatnonzero(np.isclose(THRESHOLDS, t))[0]) for t in (0.5, 0.75))
    return ClassResult(
        name=categories.name(label),
        category_id=categories.ids[label],
        objects=int(matches.objects[label]),
        detections=int((columns.found_label == label).sum()),
        ap=float(per_threshold.mean()),
        ap50=float(per_threshold[half]),
        ap75=float(per_threshold[three_quarters]),
        ar=float(recall.mean()) if recall[0] > -1 else math.nan,
        best=best,
        precision50=precision[half],
        precision75=precision[three_quarters],
    )


def _images(columns: Columns, matches: Matches, thresholds: np.ndarray) -> tuple[ImageResult, ...]:
    images = len(columns.image_ids)
    shown = (matches.score >= thresholds[matches.label]) & ~matches.ignored[0]
    found = np.bincount(matches.image[shown & matches.hit[0]], minlength=images)
    wrong = np.bincount(matches.image[shown & ~matches.hit[0]], minlength=images)
    missed = np.bincount(columns.truth_image[columns.plain], minlength=images) - found
    return tuple(
        ImageResult(*row) for row in zip(columns.image_ids.tolist(), found.tolist(), wrong.tolist(), missed.tolist())
    )


def _xywh(boxes: np.ndarray) -> Float64[np.ndarray, "M 4"]:
    boxes = boxes.astype(np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)


def _nothing() -> Columns:
    none, no_box, no_number = np.empty(0, np.int64), np.empty((0, 4)), np.empty(0)
    return Columns(none, none, none, none, no_number, no_box, none, none, no_number, no_box)


def _plain(value: Any) -> Any:
    """Dataclasses, arrays and tuples as JSON values; what is not finite as None."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
