"""The doctor: judges raw labels and images, names every defect, and leaves the clean data set that training uses."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..datasets.dataset import DataSet, Split
from ..datasets.defects import Finding
from ..datasets.raw import RawDataSet
from ..errors import DataError
from ..shapes import Int
from ..types import Categories, Sample
from .checks import Judged, judge
from .duplicates import copies
from .inspection import Facts, Look, Progress, decode, inspect


@dataclass(frozen=True, slots=True)
class Count:
    """How much of a split the labels name, and how much of it is used."""

    split: str
    images: int
    used_images: int
    without_objects: int
    objects: int
    used_objects: int
    crowds: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the doctor found, and `dataset`, the data with all of it dealt with as the findings say."""

    dataset: DataSet
    findings: tuple[Finding, ...]
    counts: tuple[Count, ...]

    @property
    def refusal(self) -> str | None:
        """Why no training can start, in one line; None when it can."""
        reasons = [finding.detail for finding in self.findings if finding.defect.action == "refuse"]
        return reasons[0] if reasons else None

    @property
    def verdict(self) -> str:
        """Can this be trained on? One line."""
        if self.refusal is not None:
            return f"refused: {self.refusal}"
        grave = sum(finding.defect.severity == "error" for finding in self.findings)
        if not grave:
            return "ready to train"
        return f"ready to train; {grave:,} {'error' if grave == 1 else 'errors'} dealt with as listed"

    def trainable(self) -> DataSet:
        """The clean data set. Raises DataError when the doctor refuses it."""
        if self.refusal is not None:
            raise DataError(
                f"{self.dataset.root}: {self.refusal}. `condetr doctor {self.dataset.root}` lists every defect"
            )
        return self.dataset

    def class_histogram(self) -> dict[str, Int[np.ndarray, " K"]]:
        """Objects of each label, crowd regions left out, for each split."""
        k = len(self.dataset.categories)
        return {
            name: sum(
                (np.bincount(s.truth.labels[~s.truth.crowd], minlength=k) for s in split), start=np.zeros(k, np.int64)
            )
            for name, split in self.dataset.splits.items()
        }

    def size_histogram(self) -> dict[str, tuple[int, int, int]]:
        """Small, medium and large objects as COCO sorts them (area under 32², under 96², more), for each split."""
        return {
            name: tuple(int(n) for n in np.histogram(_areas(split), (0, 32**2, 96**2, np.inf))[0])  # type: ignore[misc]
            for name, split in self.dataset.splits.items()
        }


def examine(
    raw: RawDataSet,
    queries: int | None = None,
    look: Look = decode,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Look at every image and judge every box. Never raises for what is wrong with the data: that is a finding.

    `queries` is how many objects the model can answer, None to not care. `look` is `inspection.decode`, or
    `inspection.header` to trust the images' pixels. `cache` remembers sound images between runs in that folder.
    """
    paths = [path for split in raw.splits for path in split.images.paths]
    seen = iter(inspect(paths, look, cache, progress))
    facts = {split.name: [next(seen) for _ in split.images.paths] for split in raw.splits}
    findings = list(raw.findings)
    judged = {split.name: judge(split, facts[split.name], raw.categories, queries, findings) for split in raw.splits}
    leaked = copies({split.name: list(zip(split.images.paths, facts[split.name])) for split in raw.splits}, findings)
    splits, counts = {}, []
    for split in raw.splits:
        one = judged[split.name]
        left_out = leaked if split.name == "train" else set()
        samples = tuple(
            Sample(path, truth)
            for row, (path, truth) in enumerate(zip(split.images.paths, one.truths))
            if truth is not None and row not in left_out
        )
        if samples:
            splits[split.name] = Split(split.name, samples)
        counts.append(_count(split.name, one, samples, len(split.objects.image)))
    dataset = DataSet(raw.root, raw.format, raw.categories, splits)
    findings += _refusals(dataset, raw, facts) + _classes(dataset)
    return Diagnosis(dataset, tuple(findings), tuple(counts))


def _count(name: str, judged: Judged, samples: tuple[Sample, ...], objects: int) -> Count:
    crowds = sum(int(sample.truth.crowd.sum()) for sample in samples)
    used = sum(len(sample.truth) for sample in samples)
    empty = sum(not len(sample.truth) for sample in samples)
    return Count(name, len(judged.truths), len(samples), empty, objects, used, crowds)


def _refusals(dataset: DataSet, raw: RawDataSet, facts: dict[str, list[Facts]]) -> list[Finding]:
    if all(split.name != "train" for split in raw.splits):
        there = ", ".join(split.name for split in raw.splits) or "none"
        return [Finding("no_train", "train", "", None, f"there is no training split (splits: {there})")]
    split = dataset.splits.get("train")
    if split is not None and any((~sample.truth.crowd).any() for sample in split):
        return []
    train = next(one for one in raw.splits if one.name == "train")
    reason = "no object is left to learn from"
    missing = sum(one.problem == "missing" for one in facts["train"])
    if not train.images.paths:
        reason += ": the labels list no image"
    elif missing == len(train.images.paths):
        reason += f": none of its {missing} images is there (looked in {train.images.paths[0].parent})"
    elif not len(train.objects.image):
        reason += ": nothing is labelled"
    return [Finding("nothing_to_learn", "train", train.labels.name, None, reason)]


def _classes(dataset: DataSet) -> list[Finding]:
    """Classes without objects: a mistake in train, worth knowing elsewhere."""
    categories = dataset.categories
    findings = []
    for name, split in dataset.splits.items():
        there = {int(label) for sample in split for label in np.unique(sample.truth.labels[~sample.truth.crowd])}
        kind = "empty_class" if name == "train" else "class_missing"
        findings += [_class(kind, name, categories, label) for label in categories.real if label not in there]
    return findings


def _class(kind: str, split: str, categories: Categories, label: int) -> Finding:
    return Finding(kind, split, "", categories.ids[label], f"'{categories.name(label)}' has no object in {split}")


def _areas(split: Split) -> np.ndarray:
    return np.concatenate([sample.truth.areas for sample in split] or [np.zeros(0)])
