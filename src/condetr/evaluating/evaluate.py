"""Evaluate a detector, or a file of detections, against the truth of a data set."""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..checkpoint import load, save, weights_of_run
from ..datasets.dataset import DataSet, Split
from ..datasets.open import open_dataset
from ..detections import Detections
from ..engine.distributed import ALONE, Processes
from ..errors import CondetrError, DataError, ImageError
from ..examining.examine import examine
from ..files import write_text
from ..images.decode import Pixels, open_image
from ..metrics import Columns, Evaluation, Scorer, labels_of
from ..metrics.evaluation import FALLBACK
from ..metrics.results import read_results, results
from ..predicting.predictor import Predictor
from ..types import Categories, Sample
from .page import Evaluated, page

KINDS = {"detr": "DETR", "conditional": "Conditional DETR"}
SAY_NOTHING = frozenset({"best", "last", "run", "weights"})  # names of folders that stand for the one above
Progress = Callable[[int, int], None]


@runtime_checkable
class Answering(Protocol):
    """What can be evaluated: `condetr.predict.Predictor`, or anything that answers for images as it does."""

    categories: Categories

    def stream(
        self, sources: Iterable[Sample], threshold: float, batch: int, read: Callable[[Sample], Any]
    ) -> Iterator[tuple[Sample, Detections | ImageError]]: ...


def score(
    predictor: Answering,
    samples: Iterable[Sample],
    categories: Categories,
    batch: int = 8,
    processes: Processes = ALONE,
    device: torch.device = torch.device("cpu"),  # noqa: B008
    progress: Progress | None = None,
    unread: list[str] | None = None,
    read: Callable[[Path], Pixels] = open_image,
) -> Scorer:
    """Predict all images, each in one of the processes, and count them: `.summary()` is quick, `.result()` is all.

    `categories` are the data set's; `device` is where the processes talk. In every process the scorer holds the
    images of all. An image that cannot be read is left out, and named in `unread`.
    """
    scorer = Scorer(categories)
    mine = list(samples)[processes.rank :: processes.world]
    answers = predictor.stream(mine, 0.0, batch, lambda sample: read(sample.path))
    for number, (sample, answer) in enumerate(answers, start=1):
        if isinstance(answer, ImageError):
            if unread is not None:
                unread.append(f"{sample.path.name}: {answer}")
        else:
            scorer.add(sample.truth, answer)
        if progress is not None:
            progress(number, len(mine))
    gathered = processes.gather(scorer.part().packed(), device)
    return scorer.merge([Columns.unpacked(part) for part in gathered])


def evaluate(
    predictor: Answering,
    samples: Iterable[Sample],
    categories: Categories,
    batch: int = 8,
    processes: Processes = ALONE,
    device: torch.device = torch.device("cpu"),  # noqa: B008
    resamples: int = 1000,
) -> Evaluation:
    """All numbers of a detector on some images. Raises DataError when no image has an object."""
    return score(predictor, samples, categories, batch, processes, device).result(resamples)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation says: of what, on what, and what the reader should know (`warnings`).

    `source` is what was given (a folder, a hub id, a file), `name` what people call it, `model` its kind and recipe.
    """

    source: str
    name: str
    model: str
    data: DataSet
    split: Split
    columns: Columns
    evaluation: Evaluation
    warnings: tuple[str, ...]


def of_weights(
    source: str, data: Path, split: str | None, device: str | None, batch: int, processes: Processes = ALONE,
    progress: Progress | None = None,
) -> Outcome:  # fmt: skip
    """Evaluate weights (a folder or a hub id) on a split; without a name it is `test`, or `valid` if there is none."""
    dataset, part, warnings, _ = _open(data, split)
    predictor = Predictor.load(source, device)
    warnings += _unshared(part, dataset.categories, predictor.categories)
    unread: list[str] = []
    scorer = score(predictor, part, dataset.categories, batch, processes, predictor.device, progress, unread)
    warnings += [f"left out, cannot be read: {one}" for one in unread]
    model = f"{KINDS[predictor.config.model.decoder.kind]}, recipe {predictor.config.recipe}"
    return Outcome(source, called(source), model, dataset, part, scorer.part(), scorer.result(), tuple(warnings))


def called(source: str) -> str:
    """What people call these weights: the last word of the path that says something, of runs/birds/best `birds`."""
    folder = Path(source)
    words = [word for word in folder.resolve().parts[1:] if word not in SAY_NOTHING] if folder.is_dir() else []
    return words[-1] if words else source


def of_detections(file: Path, data: Path, split: str | None) -> Outcome:
    """Evaluate a COCO results file, whichever detector wrote it."""
    dataset, part, warnings, left_out = _open(data, split)
    scorer, nothing = Scorer(dataset.categories), np.empty(0, np.int64)
    for sample in part:
        none = Detections(np.empty((0, 4)), np.empty(0), nothing, nothing, dataset.categories, sample.truth.size)
        scorer.add(sample.truth, none)
    columns = read_results(file, scorer.part(), dataset.categories, left_out)
    evaluation = scorer.merge([columns]).result()
    return Outcome(str(file), file.name, "detections from a file", dataset, part, columns, evaluation, tuple(warnings))


def write(outcome: Outcome, folder: Path) -> Path:
    """Write `report.html`, `metrics.json` and `detections.json` (COCO results); the path of the report."""
    categories = outcome.data.categories
    write_text(folder / "metrics.json", json.dumps(as_json(outcome), indent=1) + "\n")
    write_text(folder / "detections.json", json.dumps(results(outcome.columns, categories)))
    of = Evaluated(outcome.name, outcome.model, outcome.source)
    page(of, outcome.data, outcome.split, outcome.columns, outcome.evaluation, outcome.warnings).save(
        folder / "report.html"
    )
    return folder / "report.html"


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The same numbers as plain values."""
    return {
        "evaluated": outcome.source,
        "name": outcome.name,
        "model": outcome.model,
        "data": str(outcome.data.root),
        "split": outcome.split.name,
        "warnings": list(outcome.warnings),
        **outcome.evaluation.to_json(),
    }


def shown(outcome: Outcome) -> RenderableType:
    """For a terminal: the twelve numbers and the classes."""
    evaluation = outcome.evaluation
    named = list(evaluation.summary.named().items())
    twelve = [_row(dict(named[:6])), _row(dict(named[6:]))]
    classes = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    classes.add_column("class", overflow="ellipsis", no_wrap=True)
    for name in ("objects", "AP", "AP50", "AP75", "AR", "score ≥", "precision", "recall"):
        classes.add_column(name, justify="right", min_width=5)
    for r in evaluation.classes:
        numbers = (r.ap, r.ap50, r.ap75, r.ar, r.best.threshold, r.best.precision, r.best.recall)
        classes.add_row(Text(r.name), f"{r.objects:,}", *map(_number, numbers))
    low, high = evaluation.bootstrap.ap.low, evaluation.bootstrap.ap.high
    title = f"{outcome.name} on {outcome.data.name} {outcome.split.name}: {evaluation.images:,} images, "
    title += f"{evaluation.objects:,} objects; AP {evaluation.summary.ap:.3f} ({low:.3f} – {high:.3f})"
    warnings = [Text(f"warning: {warning}", style="yellow") for warning in outcome.warnings]
    return Group(*warnings, Text(title, style="bold"), *twelve, classes)


def _row(named: dict[str, float]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in named:
        table.add_column(name, justify="right", min_width=5)
    table.add_row(*(_number(value if value >= 0 else math.nan) for value in named.values()))
    return table


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def keep_thresholds(source: str, outcome: Outcome) -> tuple[float, ...]:
    """Save each class's best threshold with the weights, for `condetr predict --threshold best`; by their labels."""
    folder = weights_of_run(Path(source))
    if not (folder / "config.json").is_file() or '"model_type"' in (folder / "config.json").read_text(encoding="utf-8"):
        raise CondetrError(
            f"{source}: thresholds need a folder of condetr's own. Make one: condetr convert {source} DIR"
        )
    weights = load(folder)
    labels = labels_of(outcome.data.categories, weights.categories)
    thresholds = tuple(outcome.evaluation.thresholds[label] if label >= 0 else FALLBACK for label in labels)
    card = folder / "README.md"
    save(folder, replace(weights, thresholds=thresholds), card.read_text(encoding="utf-8") if card.exists() else "")
    return thresholds


def _open(data: Path, name: str | None) -> tuple[DataSet, Split, list[str], set[int]]:
    """The split with the defects dealt with as before training, what to warn of, and the ids of dropped images."""
    raw = open_dataset(data)
    there = [split.name for split in raw.splits]
    name = name or next((one for one in ("test", "valid") if one in there), "test")
    if name not in there:
        raise DataError(f"{data}: no split '{name}'. There are: {', '.join(there) or 'none'}. Choose one with --split")
    chosen = tuple(split for split in raw.splits if split.name == name)
    diagnosis = examine(replace(raw, splits=chosen), decode_pixels=False)
    dataset = diagnosis.dataset
    if name not in dataset.splits:
        raise DataError(f"{data}: no image of '{name}' can be used. `condetr doctor {data}` says why")
    split = dataset.split(name)
    if not any((~sample.truth.crowd).any() for sample in split):
        raise DataError(
            f"{data}: the {len(split)} images of '{name}' have not one labelled object: nothing to evaluate against. "
            f"There are: {', '.join(there)}"
        )
    grave = [f for f in diagnosis.findings if f.defect.severity != "note" and f.name != "empty_class"]
    defects = sum(f.split == name for f in grave)
    some = f"{defects} defect{'s' * (defects != 1)}"
    warnings = [f"{some} in the labels of '{name}': `condetr doctor {data}` shows where"] if defects else []
    left_out = set(chosen[0].images.ids.tolist()) - {sample.truth.image_id for sample in split}
    return dataset, split, warnings, left_out


def _unshared(split: Split, ours: Categories, theirs: Categories) -> list[str]:
    """Classes with objects that the weights cannot name. Raises DataError when they can name none."""
    objects = np.zeros(len(ours), int)
    for sample in split:
        objects += np.bincount(sample.truth.labels[~sample.truth.crowd], minlength=len(ours))
    known = set(labels_of(ours, theirs))
    unknown = [label for label in np.flatnonzero(objects).tolist() if label not in known]
    if len(unknown) == (objects > 0).sum():
        named = [", ".join([c.name(label) for label in c.real][:8]) for c in (theirs, ours)]
        raise DataError(f"the weights' classes ({named[0]}) and the data's ({named[1]}) have no name in common")
    if not unknown:
        return []
    named_all = ", ".join(ours.name(label) for label in unknown)
    return [f"the weights do not know {named_all}: {objects[unknown].sum()} objects count as missed"]
