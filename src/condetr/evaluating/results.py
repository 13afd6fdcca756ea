"""What an evaluation has found: its numbers, and what was evaluated on which data, when and with which settings."""

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import torch

from ..datasets.dataset import DataSet, Split
from ..metrics import BoxTable, ClassMetrics, Metrics
from ..metrics.confusion import Confusion
from ..metrics.operating_point import LEAST_AP

NOTHING_LEARNED = (
    "Almost nothing is found: the detector has not learned these classes, or the weights belong to other data. "
    "The thresholds and detections below are arbitrary."
)


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
class Results:
    """What the terminal and the page show. The fields are described in `Evaluation`."""

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
    def subject(self) -> str:
        """What was evaluated on what. By default, a run has the name of its data set: equal names are told apart."""
        name = f"the weights {self.name}" if self.name == self.data.name else self.name
        return f"{name} on {self.data.name}"

    @property
    def nothing_learned(self) -> bool:
        """Whether AP is so low that thresholds and detections are arbitrary."""
        return self.ap < LEAST_AP

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
