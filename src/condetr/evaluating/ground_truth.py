"""The split to evaluate on, what to warn about, and the classes that the weights have in common with it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..datasets.dataset import DataSet, Split
from ..datasets.defects import DEFECTS, Finding
from ..datasets.open import open_dataset, whole
from ..errors import DataError
from ..examining.examine import examine
from ..files import quoted
from ..metrics import match_classes
from ..metrics.image_index import ImageIndex
from ..plural import counted
from ..types import Categories

AS_LABELLED = (  # as pycocotools scores them
    "clipped_box", "rounded_box", "duplicate_box", "empty_box", "swapped_corners", "outside_box",
)  # fmt: skip
NOT_SCORED = tuple(
    name for name, defect in DEFECTS.items() if defect.action in ("drop", "quarantine") and name not in AS_LABELLED
)
SHOWN = 8  # names of classes in a message
UNMATCHED = ("empty_box", "swapped_corners")
NEVER_MATCHED = "; no detection can match it"


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """A split with its boxes and areas as labelled. `images` finds all of its images, those included that cannot be
    used; the ids of these are `left_out`."""

    data: DataSet
    split: Split
    warnings: tuple[str, ...]
    images: ImageIndex
    left_out: frozenset[int]


def open_ground_truth(data: Path, name: str | None, follow_outside: bool = False) -> GroundTruth:
    """The split `name`; without a name `test`, or `valid` where there is no `test`. `follow_outside` permits images
    outside the data set's folder.

    Raises DataError when there is no such split, or when none of its images has an object.
    """
    raw = open_dataset(data, follow_outside=follow_outside)
    names = [split.name for split in raw.splits]
    if name is None:
        name = next((one for one in ("test", "valid") if one in names), "test")
    if name not in names:
        way_out = whole(data) or ". Choose one with `split`"
        raise DataError(f"{data}: no split '{name}'. There are: {', '.join(names) or 'none'}{way_out}")
    chosen = tuple(split for split in raw.splits if split.name == name)
    diagnosis = examine(replace(raw, splits=chosen), decode_pixels=False, clean_boxes=False)
    dataset = diagnosis.dataset
    if name not in dataset.splits:
        raise DataError(f"{data}: no image of '{name}' can be used. `condetr doctor {quoted(data)}` gives the reasons")
    split = dataset.split(name)
    if not any((~sample.truth.crowd).any() for sample in split):
        raise DataError(
            f"{data}: {counted(len(split), 'image')} of '{name}' and not one labelled object: nothing to evaluate "
            f"against. There are: {', '.join(names)}"
        )
    shown = [f for f in diagnosis.findings if f.defect.severity != "note" and f.name != "empty_class"]
    defects = sum(f.split == name for f in shown)
    warnings = (
        [f"{counted(defects, 'defect')} in the labels of '{name}': `condetr doctor {quoted(data)}` lists them"]
        if defects
        else []
    )
    warnings += _not_cleaned([finding for finding in diagnosis.findings if finding.split == name])
    rows = chosen[0].images
    if len(split) < len(rows.ids):
        left = len(rows.ids) - len(split)
        warnings.append(
            f"{left:,} of {counted(len(rows.ids), 'image')} cannot be used: left out, with their detections"
        )
    images = ImageIndex(rows.ids.tolist(), rows.keys, rows.paths, own_ids=raw.format == "coco")
    left_out = frozenset(rows.ids.tolist()) - {sample.truth.image_id for sample in split}
    return GroundTruth(dataset, split, tuple(warnings), images, left_out)


def _not_cleaned(findings: Sequence[Finding]) -> list[str]:
    """Warnings of defects that training cleans: the boxes that are scored as labelled, and what cannot be scored."""
    counts = Counter(finding.name for finding in findings)
    return [
        f"{what}: {count:,} × {DEFECTS[name].meaning}{NEVER_MATCHED if name in UNMATCHED else ''}"
        for what, names in (("scored as labelled", AS_LABELLED), ("not scored", NOT_SCORED))
        for name in names
        if (count := counts[name])
    ]


def unknown_classes(truth: GroundTruth, weights: Categories, source: str | None) -> list[str]:
    """A warning that names the classes with objects that the weights do not have. Raises DataError when the weights
    have none of them; `source` is what a training of them on these classes is initialised from, if it can be."""
    split, data = truth.split, truth.data.categories
    objects = np.zeros(len(data), int)
    for sample in split:
        objects += np.bincount(sample.truth.labels[~sample.truth.crowd], minlength=len(data))
    known = set(match_classes(data, weights))
    unknown = [label for label in np.flatnonzero(objects).tolist() if label not in known]
    if len(unknown) == (objects > 0).sum():
        own, theirs = _first(data, unknown), _first(weights, weights.real)
        init = f", init={source!r}" if source else ""
        raise DataError(
            f"the weights have none of the classes of '{split.name}' ({own}); theirs are {theirs}. Train them on these "
            f"classes with `condetr.train({str(truth.data.root)!r}{init})`, or rename the classes in the labels where "
            "only the names differ"
        )
    if not unknown:
        return []
    names = ", ".join(data.name(label) for label in unknown)
    return [f"the weights do not know {names}: {counted(int(objects[unknown].sum()), 'object')} counted as missed"]


def _first(categories: Categories, labels: Sequence[int]) -> str:
    """The names of the first classes and the number of the others."""
    names, others = [categories.name(label) for label in labels], len(labels) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {counted(others, 'other')}" if others > 0 else "")
