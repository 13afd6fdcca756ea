"""All metrics of an evaluation in one value."""

import math
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np

from ..plural import counted
from ..shapes import Float64
from ..types import Categories
from .bootstrap import Bootstrap, bootstrap
from .box_table import BoxTable
from .calibration import Calibration, calibrate
from .coco import IOU_THRESHOLDS, Grid, Summary, Unlimited, accumulate, summarise, unlimited
from .confusion import Confusion, confusion
from .error_types import ERROR_TYPES, ErrorAnalysis, analyse_errors
from .matching import Matches, match
from .operating_point import OperatingPoint, best_operating_point

DEFAULT_THRESHOLD = 0.5  # of a class without a best threshold
_AT_50, _AT_75 = (int(np.flatnonzero(np.isclose(IOU_THRESHOLDS, iou))[0]) for iou in (0.5, 0.75))


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """One class of the data set. AP and AR as COCO's, NaN where the split has no object of the class.

    `best` is the operating point with the largest F1 at IoU 0.5. `precision` is the precision at recall 0, 0.01 … 1
    (R = 101) for each of T = 10 IoU thresholds 0.50 … 0.95; NaN without objects.
    """

    name: str
    category_id: int
    objects: int
    detections: int
    ap: float
    ap50: float
    ap75: float
    ar: float
    best: OperatingPoint
    precision: Float64[np.ndarray, "T R"] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; of the precision–recall curves those at IoU 0.50 and 0.75."""
        values = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "precision"}
        return {**values, "precision50": _plain(self.precision[_AT_50]), "precision75": _plain(self.precision[_AT_75])}


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """One image at the classes' best thresholds, IoU 0.5: correct detections, false detections, missed objects."""

    image_id: int
    correct: int
    false: int
    missed: int

    @property
    def f1(self) -> float:
        """1 for an image without objects and without detections."""
        total = 2 * self.correct + self.false + self.missed
        return 2 * self.correct / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of a detector on a set of images.

    `unlimited` are COCO's numbers without its limit of 100 detections per image and class, None where no image has
    more.
    `classes` are the data set's in the order of their labels, without gaps; the confusion matrix and `thresholds` (each
    class's best, 0.5 without one) are indexed by label, gaps included.
    """

    summary: Summary
    images: int
    objects: int
    crowds: int
    detections: int
    classes: tuple[ClassMetrics, ...]
    thresholds: tuple[float, ...]
    confusion: Confusion
    errors: ErrorAnalysis
    calibration: Calibration
    bootstrap: Bootstrap
    by_image: tuple[ImageCounts, ...]
    unlimited: Unlimited | None

    def __repr__(self) -> str:
        counts = f"{counted(self.images, 'image')}, {counted(self.objects, 'object')}"
        return f"<Metrics of {counts}: AP {self.summary.ap:.3f}, AP50 {self.summary.ap50:.3f}>"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values. Undefined numbers are None; the twelve keep COCO's -1."""
        errors = {
            name: {"count": int(count), "count_at_best_thresholds": int(confident), "gain_ap50": float(gain)}
            for name, count, confident, gain in zip(
                ERROR_TYPES, self.errors.counts, self.errors.confident, self.errors.gains
            )
        }
        special = {
            "summary": self.summary.named(), "classes": [one.to_dict() for one in self.classes], "errors": errors
        }  # fmt: skip
        return {f.name: special[f.name] if f.name in special else _plain(getattr(self, f.name)) for f in fields(self)}


def compute_metrics(table: BoxTable, categories: Categories, resamples: int) -> Metrics:
    """All metrics of a table that has at least one object; `categories` are the data set's."""
    grid = accumulate(table, len(categories))
    matches = match(table, len(categories))
    best = {label: best_operating_point(matches, label) for label in categories.real}
    thresholds = np.full(len(categories), DEFAULT_THRESHOLD)
    for label, point in best.items():
        thresholds[label] = point.threshold if math.isfinite(point.threshold) else DEFAULT_THRESHOLD
    return Metrics(
        summary=summarise(grid),
        images=len(table.image_ids),
        objects=int(table.is_object.sum()),
        crowds=int((~table.is_object).sum()),
        detections=len(table.detected_image),
        classes=tuple(_class(table, grid, matches, categories, label, best[label]) for label in categories.real),
        thresholds=tuple(thresholds.tolist()),
        confusion=confusion(table, matches, thresholds),
        errors=analyse_errors(table, matches, thresholds),
        calibration=calibrate(matches),
        bootstrap=bootstrap(table, matches, resamples),
        by_image=_images(table, matches, thresholds),
        unlimited=unlimited(table, len(categories)),
    )


def _class(
    table: BoxTable, grid: Grid, matches: Matches, categories: Categories, label: int, best: OperatingPoint
) -> ClassMetrics:
    precision = np.where(grid.precision[:, :, label, 0, 2] < 0, np.nan, grid.precision[:, :, label, 0, 2])
    recall = grid.recall[:, label, 0, 2]
    per_threshold = precision.mean(1)
    return ClassMetrics(
        name=categories.name(label),
        category_id=categories.ids[label],
        objects=int(matches.objects[label]),
        detections=int((table.detected_label == label).sum()),
        ap=float(per_threshold.mean()),
        ap50=float(per_threshold[_AT_50]),
        ap75=float(per_threshold[_AT_75]),
        ar=float(recall.mean()) if recall[0] > -1 else math.nan,
        best=best,
        precision=precision,
    )


def _images(table: BoxTable, matches: Matches, thresholds: np.ndarray) -> tuple[ImageCounts, ...]:
    images = len(table.image_ids)
    confident = (matches.score >= thresholds[matches.label]) & ~matches.ignored[0]
    correct = np.bincount(matches.image[confident & matches.correct[0]], minlength=images)
    false = np.bincount(matches.image[confident & ~matches.correct[0]], minlength=images)
    missed = np.bincount(table.truth_image[table.is_object], minlength=images) - correct
    return tuple(
        ImageCounts(*row) for row in zip(table.image_ids.tolist(), correct.tolist(), false.tolist(), missed.tolist())
    )


def _plain(value: Any) -> Any:
    """Dataclasses, arrays and tuples as JSON values; NaN and infinity as None."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
