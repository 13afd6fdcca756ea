"""What the examination of a data set has found: its findings, its counts and its histograms."""

from dataclasses import dataclass

import numpy as np

from ..datasets.dataset import DataSet, Split
from ..datasets.defects import Finding
from ..datasets.raw import RawDataSet
from ..plural import counted
from ..shapes import Int


@dataclass(frozen=True, slots=True)
class Count:
    """How many images and objects the labels of a split list, and how many of them are used."""

    split: str
    images: int
    used_images: int
    without_objects: int
    objects: int
    used_objects: int
    crowds: int


@dataclass(frozen=True, slots=True)
class Results:
    """What the terminal and the page show. The fields are described in `Diagnosis`."""

    dataset: DataSet
    findings: tuple[Finding, ...]
    counts: tuple[Count, ...]
    raw: RawDataSet

    @property
    def refusal(self) -> str | None:
        """Why training cannot start, in one line; None when it can."""
        reasons = [finding.detail for finding in self.findings if finding.defect.action == "refuse"]
        return reasons[0] if reasons else None

    @property
    def summary(self) -> str:
        """Whether the data can be trained on, in one line."""
        if self.refusal is not None:
            return f"cannot train: {self.refusal}"
        errors = sum(finding.defect.severity == "error" for finding in self.findings)
        if not errors:
            return "ready to train"
        return f"ready to train; {counted(errors, 'error')} handled as listed"

    def class_histogram(self) -> dict[str, Int[np.ndarray, " K"]]:
        """The number of objects of each label, without crowd regions, for each split."""
        k = len(self.dataset.categories)
        return {
            name: sum(
                (np.bincount(s.truth.labels[~s.truth.crowd], minlength=k) for s in split), start=np.zeros(k, np.int64)
            )
            for name, split in self.dataset.splits.items()
        }

    def size_histogram(self) -> dict[str, tuple[int, int, int]]:
        """Small, medium and large objects as COCO defines them (area under 32², under 96², above), for each split."""
        return {
            name: tuple(int(n) for n in np.histogram(_areas(split), (0, 32**2, 96**2, np.inf))[0])  # type: ignore[misc]
            for name, split in self.dataset.splits.items()
        }


def _areas(split: Split) -> np.ndarray:
    return np.concatenate([sample.truth.areas for sample in split] or [np.zeros(0)])
