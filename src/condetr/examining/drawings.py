"""Images of a diagnosis's page with their labels marked on them: those with the worst defects, and some sound ones."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..datasets.dataset import DataSet
from ..datasets.defects import SEVERITIES, Finding
from ..datasets.raw import RawDataSet, RawSplit
from ..errors import ImageError
from ..images.decode import open_image
from ..plural import counted
from ..reports.overlay import Layer, Mark, MarkedImage
from ..types import Sample

USED = Layer("used", "objects that are used", (70, 140, 255))
DEFECTIVE = Layer("defective", "objects with a defect", (255, 150, 30), dashed=True)
LEFT_OUT = Layer("left-out", "objects of an image that is left out", (240, 70, 60), dashed=True)
LAYERS = (DEFECTIVE, LEFT_OUT, USED)
LEAST = 16.0  # pixels: an empty box is drawn at least this wide and high
_NOT_DRAWN = {"no_objects", "crowd_box", "size_missing", "class_missing", "empty_class"}  # invisible in an image
_UNREADABLE = {"missing_image", "unreadable_image", "truncated_image", "outside_folder"}

Row = tuple[str, int]  # a split and the row of an image in it


def defective(raw: RawDataSet, findings: Iterable[Finding]) -> list[tuple[Row, list[Finding]]]:
    """The images whose defects can be drawn, with their findings, the most severe first."""
    rows: dict[tuple[str, Path], Row] = {}
    for split in raw.splits:
        shared = split.objects.places_of == "annotation"  # all images have one label file
        for files in (split.images.paths, () if shared else split.images.label_files):
            rows |= {(split.name, file): (split.name, row) for row, file in enumerate(files)}
    by_row: dict[Row, list[Finding]] = {}
    for finding in findings:
        row = rows.get((finding.split, finding.file)) if finding.file is not None else None
        if row is not None and finding.name not in _NOT_DRAWN:
            by_row.setdefault(row, []).append(finding)
    drawable = [(row, found) for row, found in by_row.items() if not {f.name for f in found} & _UNREADABLE]
    return sorted(drawable, key=lambda one: (min(SEVERITIES[f.defect.severity] for f in one[1]), -len(one[1])))


def drawn_defects(
    raw: RawDataSet, data: DataSet, drawable: Sequence[tuple[Row, list[Finding]]], most: int
) -> Iterator[MarkedImage]:
    """The first images that can be opened, one after another: a single one is in memory at a time."""
    splits = {split.name: split for split in raw.splits}
    used = {sample.path: sample for split in data.splits.values() for sample in split}
    for (name, row), findings in drawable:
        if not most:
            return
        split = splits[name]
        path = split.images.paths[row]
        try:
            pixels = open_image(path)
        except (ImageError, ValueError):
            continue  # the tables name it; there is nothing to draw
        most -= 1
        size = (pixels.shape[1], pixels.shape[0])
        sample = used.get(path)
        marks = _labelled_boxes(split, row, size, findings if sample else None, data)
        marks += _used(sample, data) if sample else []
        names = Counter(f.name.replace("_", " ") for f in findings)
        what = ", ".join(f"{name} × {n}" if n > 1 else name for name, n in names.items())
        yield MarkedImage(pixels, marks, f"{_shown(path, data.root)}: {what}")
        del pixels


def drawn_samples(data: DataSet, samples: Iterable[Sample]) -> Iterator[MarkedImage]:
    """The images with the objects that are used."""
    for sample in samples:
        try:
            pixels = open_image(sample.path)
        except (ImageError, ValueError):
            continue
        objects = len(sample.truth)
        caption = f"{_shown(sample.path, data.root)}: {counted(objects, 'object')}"
        yield MarkedImage(pixels, _used(sample, data), caption)
        del pixels


def varied(data: DataSet, most: int, without: set[Path]) -> list[Sample]:
    """Images with objects: first those with a class that none before has, then others at equal distances."""
    every = [sample for split in data.splits.values() for sample in split]
    samples = [sample for sample in every if sample.path not in without and len(sample.truth)]
    seen: set[int] = set()
    chosen: dict[Path, Sample] = {}
    for sample in samples:
        new = set(sample.truth.labels.tolist()) - seen
        if new and len(chosen) < most:
            seen |= new
            chosen[sample.path] = sample
    rest = [sample for sample in samples if sample.path not in chosen]
    wanted = most - len(chosen)
    for sample in rest[:: max(1, len(rest) // max(1, wanted))][:wanted]:
        chosen[sample.path] = sample
    return list(chosen.values())


def _used(sample: Sample, data: DataSet) -> list[Mark]:
    truth = sample.truth
    return [
        Mark(tuple(box), data.categories.name(label), USED, "crowd region" if crowd else "")
        for box, label, crowd in zip(truth.boxes.tolist(), truth.labels.tolist(), truth.crowd.tolist())
    ]


def _labelled_boxes(
    split: RawSplit, row: int, size: tuple[int, int], findings: list[Finding] | None, data: DataSet
) -> list[Mark]:
    """Boxes as the label file has them: those that the findings name, or all of them where that is None."""
    objects = split.objects
    places = {int(objects.places[i]): int(i) for i in np.flatnonzero(objects.image == row)}
    if findings is None:
        label_of = data.categories.label_of
        chosen = [(i, label_of.get(int(objects.category[i]), -1)) for i in places.values()]
        named = [(i, data.categories.name(label) if label >= 0 else "unknown class") for i, label in chosen]
    else:
        kinds = ("_box", "_corners", "_category")
        of_objects = [f for f in findings if f.name.endswith(kinds) and isinstance(f.id, int)]
        named = [(places[f.id], f.name.replace("_", " ")) for f in of_objects if f.id in places]
    scale = np.array([*size, *size]) if objects.relative else np.ones(4)
    marks = []
    for i, caption in named:
        box = objects.boxes[i] * scale
        if np.isfinite(box).all() and (np.abs(box) < 1e6).all():
            note = "" if findings is None else "as labelled"
            marks.append(Mark(_visible(box), caption, LEFT_OUT if findings is None else DEFECTIVE, note))
    return marks


def _visible(box: np.ndarray) -> tuple[float, float, float, float]:
    """The box with ordered corners, at least LEAST pixels wide and high."""
    low, high = np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])
    extra = (LEAST - (high - low)).clip(min=0) / 2
    x1, y1, x2, y2 = np.concatenate([low - extra, high + extra]).tolist()
    return x1, y1, x2, y2


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
