"""The result of examining a data set: its findings, counts and histograms, and the clean data set."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.dataset import DataSet, Split
from ..datasets.defects import DEFECTS, Finding, grouped
from ..datasets.raw import RawDataSet
from ..errors import DataError
from ..files import quoted, write_text
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
class Diagnosis:
    """`findings` are all defects, `dataset` is the data after the action of every finding, `raw` the data as read."""

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
        return f"ready to train; {errors:,} {'error' if errors == 1 else 'errors'} handled as listed"

    def trainable(self) -> DataSet:
        """The clean data set. Raises DataError when training cannot start."""
        if self.refusal is not None:
            root = self.dataset.root
            raise DataError(f"{root}: {self.refusal}. `condetr doctor {quoted(root)}` lists every defect")
        return self.dataset

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

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values. Keys are stable between releases; new ones may be added."""
        data = self.dataset
        histogram, sizes = self.class_histogram(), self.size_histogram()
        return {
            "root": str(data.root),
            "format": data.format,
            "trainable": self.refusal is None,
            "refusal": self.refusal,
            "splits": [
                {
                    "name": count.split,
                    "images": count.images,
                    "used_images": count.used_images,
                    "images_without_objects": count.without_objects,
                    "objects": count.objects,
                    "used_objects": count.used_objects,
                    "crowds": count.crowds,
                    "sizes": dict(zip(("small", "medium", "large"), sizes.get(count.split, (0, 0, 0)))),
                }
                for count in self.counts
            ],
            "classes": [
                {
                    "label": label,
                    "category_id": data.categories.ids[label],
                    "name": data.categories.name(label),
                    "objects": {split: int(counts[label]) for split, counts in histogram.items()},
                }
                for label in data.categories.real
            ],
            "defects": [
                {
                    "name": name,
                    "severity": DEFECTS[name].severity,
                    "action": DEFECTS[name].action,
                    "meaning": DEFECTS[name].meaning,
                    "remedy": DEFECTS[name].remedy,
                    "count": len(found),
                    "found": [
                        {
                            "split": f.split,
                            "file": str(f.file) if f.file is not None else "",
                            "id": f.id,
                            "id_of": f.id_of if f.id is not None else None,
                            "detail": f.detail,
                        }
                        for f in found
                    ],
                }
                for name, found in grouped(self.findings)
            ],
        }

    def write(self, folder: Path | str) -> Path:
        """Write `doctor.html` and `doctor.json` into `folder` and return the page's path.

        Raises CondetrError when they cannot be written.
        """
        from .page import page  # matplotlib takes a second to import

        folder = Path(folder)
        write_text(folder / "doctor.json", json.dumps(self.to_dict(), indent=1, ensure_ascii=True) + "\n")
        page(self).save(folder / "doctor.html")
        return folder / "doctor.html"


def _areas(split: Split) -> np.ndarray:
    return np.concatenate([sample.truth.areas for sample in split] or [np.zeros(0)])
