"""`examine`: inspect every image, check every label, report each defect, and build the clean data set for training."""

from pathlib import Path

import numpy as np

from ..arguments import check_flags, check_progress, path_of, whole_number
from ..datasets.dataset import DataSet, Split
from ..datasets.defects import Finding
from ..datasets.open import open_dataset
from ..datasets.raw import RawDataSet, RawSplit
from ..errors import DataError
from ..plural import counted
from ..types import Categories, Sample, Truth
from .cache import FactsCache
from .checks import check_split
from .classes import check_classes
from .diagnosis import Diagnosis
from .duplicates import find_duplicates
from .facts import OUTSIDE, ImageFacts
from .forms import check_forms
from .inspection import Progress, inspect_header, inspect_images, inspect_pixels
from .other_splits import other_splits
from .results import Count
from .unlisted import unlisted_images


def examine(
    data: Path | str | RawDataSet,
    *,
    queries: int | None = None,
    decode_pixels: bool = True,
    follow_outside: bool = False,
    clean_boxes: bool = True,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Examine a data set: read the labels, inspect every image, check every box.

    `data` is a path that `open_dataset` reads, or what it returned. `queries` is the number of object queries of the
    model, to report images with more objects; None skips this check. Without `decode_pixels` only the images' headers
    are read, which does not find truncated files. Images outside the data set's folder are reported and not opened,
    unless `follow_outside` permits it; labels already read have their own permission. Without `clean_boxes` every box
    with finite numbers and a known class stays as labelled, neither clipped nor dropped, for evaluation. `cache` is a
    folder in which the results for sound images are kept between runs; `progress` is called with the number of images
    done and the total.

    Raises DataError when no data set is recognised or its labels contradict each other. Every other defect is a
    finding, not an exception.
    """
    check_progress(progress)
    check_flags(decode_pixels=decode_pixels, follow_outside=follow_outside, clean_boxes=clean_boxes)
    queries = None if queries is None else whole_number(queries, "queries", 1)
    cache = None if cache is None else path_of(cache, "cache")
    if isinstance(data, RawDataSet):
        raw = data
    else:
        raw = open_dataset(path_of(data, "data", DataError), follow_outside=follow_outside)
    paths = [path for split in raw.splits for path in _permitted(split)]
    inspect = inspect_pixels if decode_pixels else inspect_header
    known = FactsCache(cache, "pixels" if decode_pixels else "headers") if cache is not None else None
    inspected = iter(inspect_images(paths, inspect, known, progress))
    facts = {
        split.name: [ImageFacts.of_problem(OUTSIDE) if out else next(inspected) for out in split.images.outside]
        for split in raw.splits
    }
    findings = [*raw.findings, *check_classes(raw), *check_forms(raw, facts), *unlisted_images(raw), *other_splits(raw)]
    truths = {
        split.name: check_split(split, facts[split.name], raw.categories, queries, findings, clean_boxes)
        for split in raw.splits
    }
    leaked = find_duplicates(
        {split.name: list(zip(split.images.paths, facts[split.name])) for split in raw.splits}, findings
    )
    splits, counts = {}, []
    for split in raw.splits:
        left_out = leaked if split.name == "train" else set()
        samples = tuple(
            Sample(path, truth, key)
            for row, (path, truth, key) in enumerate(zip(split.images.paths, truths[split.name], split.images.keys))
            if truth is not None and row not in left_out
        )
        if samples:
            splits[split.name] = Split(split.name, samples)
        counts.append(_count(split.name, truths[split.name], samples, len(split.objects.image)))
    dataset = DataSet(raw.root, raw.format, raw.categories, splits)
    findings += _refusals(dataset, raw, facts) + _empty_classes(dataset)
    return Diagnosis(dataset, tuple(findings), tuple(counts), raw)


def _permitted(split: RawSplit) -> list[Path]:
    return [path for path, outside in zip(split.images.paths, split.images.outside) if not outside]


def _count(name: str, truths: list[Truth | None], samples: tuple[Sample, ...], objects: int) -> Count:
    crowds = sum(int(sample.truth.crowd.sum()) for sample in samples)
    used = sum(len(sample.truth) for sample in samples)
    empty = sum(not len(sample.truth) for sample in samples)
    return Count(name, len(truths), len(samples), empty, objects, used, crowds)


def _refusals(dataset: DataSet, raw: RawDataSet, facts: dict[str, list[ImageFacts]]) -> list[Finding]:
    """The reason why training cannot start, if there is one."""
    if all(split.name != "train" for split in raw.splits):
        there = ", ".join(split.name for split in raw.splits) or "none"
        return [Finding("no_train", "train", None, None, f"there is no training split (splits: {there})")]
    split = dataset.splits.get("train")
    if split is not None and any((~sample.truth.crowd).any() for sample in split):
        return []
    train = next(one for one in raw.splits if one.name == "train")
    reason = "no object is left to learn from"
    missing = sum(one.problem == "missing" for one in facts["train"])
    if not train.images.paths:
        folder = train.labels.is_dir()
        reason += f": no image is in {train.labels}" if folder else ": the labels list no image"
    elif missing == len(train.images.paths):
        reason += f": of {counted(missing, 'image')} none was found (looked in {train.images.paths[0].parent})"
    elif train.images.outside.all():
        reason += f": all images are outside the data set's folder ({train.images.paths[0].parent}); "
        reason += "permit it: follow_outside, on the command line --follow-outside"
    elif not len(train.objects.image):
        reason += ": no image has a labelled object"
        if not train.images.label_files[0].is_file():
            reason += f" (no label file is where it is looked for, such as {train.images.label_files[0]})"
    return [Finding("nothing_to_learn", "train", train.labels, None, reason)]


def _empty_classes(dataset: DataSet) -> list[Finding]:
    """Classes without objects: a warning in train, a note in the other splits."""
    categories = dataset.categories
    findings = []
    for name, split in dataset.splits.items():
        present = {int(label) for sample in split for label in np.unique(sample.truth.labels[~sample.truth.crowd])}
        defect = "empty_class" if name == "train" else "class_missing"
        findings += [_empty_class(defect, name, categories, label) for label in categories.real if label not in present]
    return findings


def _empty_class(defect: str, split: str, categories: Categories, label: int) -> Finding:
    detail = f"'{categories.name(label)}' has no object in {split}"
    return Finding(defect, split, None, categories.ids[label], detail, "category")
