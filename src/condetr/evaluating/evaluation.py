"""The result of an evaluation: its numbers, its curves, and the files it is written to."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..datasets.dataset import DataSet, Split
from ..errors import CondetrError
from ..files import write_text
from ..metrics import BoxTable, ClassMetrics, Metrics
from ..metrics.coco import IOU_THRESHOLDS, RECALLS
from ..metrics.coco_results import coco_results
from ..metrics.confusion import Confusion
from ..shapes import Float64


class PrecisionRecall(NamedTuple):
    """A precision–recall curve: the precision (NaN without objects) at recall 0, 0.01 … 1. R = 101.

    `plt.plot(*curve)` draws it.
    """

    recall: Float64[np.ndarray, " R"]
    precision: Float64[np.ndarray, " R"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """When and with what an evaluation was made: the time (UTC, ISO 8601), the versions of condetr and torch, and the
    settings that decide what is predicted, by name. For detections from a file there are no settings."""

    date: str
    versions: dict[str, str]
    settings: dict[str, str]

    @classmethod
    def now(cls, settings: dict[str, str]) -> "Provenance":
        try:
            own = version("condetr")
        except PackageNotFoundError:  # a source tree that is not installed
            own = "unknown"
        date = datetime.now(UTC).replace(microsecond=0).isoformat()
        return cls(date, {"condetr": own, "torch": torch.__version__}, settings)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a detector is on a split.

    `source` is what was evaluated (a folder, a hub id, a file), `name` a short name for it, `model` its kind and
    recipe. `table` has every detection and the ground truth, `metrics` all metrics; the properties below are the ones
    that are used most. The twelve numbers are COCO's, and -1 where no object counts. `stored_thresholds` are the
    confidence thresholds that the weights carry, by label of the data set, or None.
    """

    source: str
    name: str
    model: str
    data: DataSet
    split: Split
    table: BoxTable
    metrics: Metrics
    warnings: tuple[str, ...]
    stored_thresholds: tuple[float, ...] | None
    provenance: Provenance

    @property
    def numbers(self) -> dict[str, float]:
        """COCO's twelve numbers by the names of its leaderboard: AP, AP50, AP75, APs, …, ARl."""
        return self.metrics.summary.named()

    @property
    def ap(self) -> float:
        """The mean over IoU thresholds 0.50 … 0.95 and the classes."""
        return self.metrics.summary.ap

    @property
    def ap50(self) -> float:
        return self.metrics.summary.ap50

    @property
    def ap75(self) -> float:
        return self.metrics.summary.ap75

    @property
    def ap_small(self) -> float:
        return self.metrics.summary.ap_small

    @property
    def ap_medium(self) -> float:
        return self.metrics.summary.ap_medium

    @property
    def ap_large(self) -> float:
        return self.metrics.summary.ap_large

    @property
    def ar100(self) -> float:
        """The average recall with at most 100 detections per image and class."""
        return self.metrics.summary.ar100

    @property
    def classes(self) -> tuple[ClassMetrics, ...]:
        """One row per class of the data set, in the order of its labels: name, objects, AP, best threshold, …"""
        return self.metrics.classes

    @property
    def thresholds(self) -> dict[str, float]:
        """The confidence threshold of each class with the largest F1 at IoU 0.5; 0.5 where no detection is correct."""
        categories = self.data.categories
        return {categories.name(label): self.metrics.thresholds[label] for label in categories.real}

    @property
    def confusion(self) -> Confusion:
        """The confusion matrix at the best thresholds, IoU 0.5."""
        return self.metrics.confusion

    def precision_recall(self, class_name: str | None = None, iou: float = 0.5) -> PrecisionRecall:
        """The precision–recall curve of a class, or without a name the mean over the classes that have objects.

        `iou` is one of 0.5, 0.55 … 0.95. Raises CondetrError for another one, and for a class that the data set does
        not have.
        """
        at = np.flatnonzero(np.isclose(IOU_THRESHOLDS, iou))
        if len(at) != 1:
            raise CondetrError(f"precision_recall: iou {iou} is not evaluated. Choose one of 0.5, 0.55, …, 0.95")
        if class_name is None:
            curves = [one.precision[at[0]] for one in self.classes if one.objects]
            return PrecisionRecall(RECALLS.copy(), np.mean(curves, axis=0))
        found = next((one for one in self.classes if one.name == class_name), None)
        if found is None:
            names = [one.name for one in self.classes]
            near = get_close_matches(class_name, names, 1)
            hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(names[:20])}"
            raise CondetrError(f"precision_recall: the data set has no class '{class_name}'. {hint}")
        return PrecisionRecall(RECALLS.copy(), found.precision[at[0]].copy())

    def to_dict(self) -> dict[str, Any]:
        """Everything but the detections as plain JSON values. Undefined numbers are None; the twelve keep COCO's -1."""
        return {
            "evaluated": self.source,
            "name": self.name,
            "model": self.model,
            "data": str(self.data.root),
            "split": self.split.name,
            "warnings": list(self.warnings),
            "stored_thresholds": self.stored_thresholds,
            "provenance": asdict(self.provenance),
            **self.metrics.to_dict(),
        }

    def write(self, folder: Path | str) -> Path:
        """Write `report.html`, `metrics.json` (`to_dict`) and `detections.json` (COCO results); returns the path of the
        report."""
        from .page import page  # loads matplotlib, which the numbers do not need

        folder = Path(folder)
        write_text(folder / "metrics.json", json.dumps(self.to_dict(), indent=1) + "\n")
        keys = {sample.truth.image_id: sample.key for sample in self.split}
        write_text(folder / "detections.json", json.dumps(coco_results(self.table, self.data.categories, keys)))
        page(self).save(folder / "report.html")
        return folder / "report.html"
