"""Evaluate a detector, or a file of detections, on a split of a data set."""

import os
from pathlib import Path

import numpy as np

from ..arguments import check_flags, check_progress, instance_of, path_of, whole_number
from ..checkpoint import MODELS, check_local, load, save_thresholds, thresholds_split, weights_of_run
from ..datasets.open import check_exists
from ..detections import Detections
from ..engine.distributed import SINGLE, Processes
from ..errors import CondetrError, DataError
from ..files import check_writable, quoted
from ..home import with_home
from ..metrics import BoxTable, Evaluator, match_classes
from ..metrics.coco_results import HOW_TO_WRITE, read_results
from ..metrics.metrics import DEFAULT_THRESHOLD
from ..metrics.operating_point import LEAST_AP
from ..own_folders import is_run
from ..predicting.execution import check_options
from ..predicting.exported import is_exported
from ..predicting.predictor import Predictor
from ..predicting.selection import Nms, suppression
from ..predicting.tiling import Tiling
from ..suggestions import did_you_mean, nearest_path
from ..types import Categories
from .bulk_rows import evaluate_rows
from .evaluation import Evaluation
from .ground_truth import GroundTruth, open_ground_truth, unknown_classes
from .remarks import duplicates, unusual
from .results import Provenance
from .samples import Progress, evaluate_samples
from .selected import Selected

UNNAMED = frozenset({"best", "last", "run", "weights"})  # folders that are named after the folder above them


def evaluate(
    weights: str | os.PathLike[str] | Predictor,
    data: str | os.PathLike[str],
    *,
    split: str | None = None,
    device: str | None = None,
    runtime: str | None = None,
    tiling: Tiling | None = None,
    nms: Nms = None,
    max_detections: int | None = None,
    batch: int = 8,
    follow_outside: bool = False,
    out: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    processes: Processes = SINGLE,
) -> Evaluation:
    """Evaluate weights (a folder, a hub id, an exported file, or a `Predictor`) on a split of a data set.

    Without a `split` it is `test`, or `valid` where there is no `test`. `batch` images go through the detector
    together. `runtime` is what executes the weights, see `Predictor.load`. With a `tiling`, large images are detected
    in tiles. `nms` is the non-maximum suppression of `Predictor.load`; None: that of the weights. At most
    `max_detections` of an image are evaluated, by default 100, and all of an image with tiles; COCO's metrics count 100
    of each class, and `metrics.unlimited` has the numbers without that limit. `follow_outside` permits images outside
    the data set's folder. With `out`, the report, the numbers and the detections are written to that folder (see
    `Evaluation.write`). `progress` is called with the number of images done and the number of all.

    Raises DataError for data that cannot be evaluated, WeightsError for weights that cannot be loaded.
    """
    data = path_of(data, "data", DataError)
    out = None if out is None else path_of(out, "out")
    check_progress(progress)
    check_flags(follow_outside=follow_outside)
    batch = whole_number(batch, "batch", 1)
    max_detections = None if max_detections is None else whole_number(max_detections, "max_detections", 1)
    if out is not None and processes.first:
        check_writable(out)
    if is_run(data):
        raise DataError(f"{data}: a run's folder, not a data set. Did you swap weights and data?")
    check_exists(data)
    suppression(nms, None)
    if tiling is not None:
        instance_of(tiling, "tiling", Tiling, "a Tiling, such as condetr.Tiling(640)")
    if not isinstance(weights, Predictor):
        check_options(weights, device, "fp32", True, False, runtime)
        if not is_exported(weights):
            check_local(weights)
    truth = open_ground_truth(data, split, follow_outside)
    if isinstance(weights, Predictor):
        if tiling is not None and tiling != weights.tiling:
            raise CondetrError("tiling: a Predictor has its own. Give it to Predictor.load")
        if nms is not None and suppression(nms, None) != weights.nms:
            raise CondetrError("nms: a Predictor has its own. Give it to Predictor.load")
        predictor, source, name = weights, "a Predictor in memory", weights.config.recipe
    else:
        predictor = Predictor.load(weights, device, runtime=runtime, tiling=tiling, nms=nms)
        source = os.fspath(weights)
        name = weights_name(source)
    categories = truth.data.categories
    init = None if isinstance(weights, Predictor) or Path(source).is_file() else source
    warnings = [*truth.warnings, *unknown_classes(truth, predictor.categories, init)]
    selected = Selected(predictor, max_detections)
    warnings += selected.warnings([sample.truth for sample in truth.split])
    unread: list[str] = []
    evaluator = evaluate_samples(
        selected, truth.split, categories, batch, processes, predictor.device, progress, unread
    )  # fmt: skip
    warnings += [f"left out, cannot be read: {one}" for one in unread]
    metrics = evaluator.metrics()
    warnings += duplicates(predictor, None if isinstance(weights, Predictor) else source, metrics.errors)
    model = f"{MODELS[predictor.config.model.decoder.kind]}, recipe {predictor.config.recipe}"
    evaluation = Evaluation(
        source, name, model, truth.data, truth.split, evaluator.table(), metrics, tuple(warnings),
        _stored_thresholds(predictor, categories), Provenance.now(_settings(predictor)),
    )  # fmt: skip
    if out is not None and processes.first:
        evaluation.write(out)
    return evaluation


def evaluate_detections(
    file: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    split: str | None = None,
    follow_outside: bool = False,
    out: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """Evaluate the detections in a COCO results file, from any detector, on a split of a data set.

    `file` may also be the folder of a finished `condetr.bulk`, whose rows for images of other splits are passed over.
    `split`, `follow_outside` and `out` are as for `evaluate`. Raises DataError, naming the entry, for an invalid file.
    """
    check_flags(follow_outside=follow_outside)
    file, data = path_of(file, "file", DataError), path_of(data, "data", DataError)
    out = None if out is None else path_of(out, "out")
    if out is not None:
        check_writable(out)
    if not file.exists():  # before the data set is read
        predicted = (file.parent / "predictions.jsonl").is_file()
        way_out = f". {HOW_TO_WRITE}" if predicted else did_you_mean(nearest_path(file))
        raise DataError(f"{file}: no such file or folder{way_out}")
    truth = open_ground_truth(data, split, follow_outside)
    categories = truth.data.categories
    if file.is_dir():
        rows, remarks = evaluate_rows(file, truth)
        table, kind = rows.table(), "detections of condetr bulk"
    else:
        table, kind = _results(file, truth), "detections from a file"
        remarks = unusual(table, truth.split)
    metrics = Evaluator.of_tables([table], categories).metrics()
    evaluation = Evaluation(
        str(file), file.name, kind, truth.data, truth.split, table, metrics, (*truth.warnings, *remarks), None,
        Provenance.now({}),
    )  # fmt: skip
    if out is not None:
        evaluation.write(out)
    return evaluation


def _results(file: Path, truth: GroundTruth) -> BoxTable:
    """All images of the split with the detections of a COCO results file."""
    categories = truth.data.categories
    evaluator, no_label = Evaluator(categories), np.empty(0, np.int64)
    for sample in truth.split:
        none = Detections(np.empty((0, 4)), np.empty(0), no_label, no_label, categories, sample.truth.size)
        evaluator.add(sample.truth, none)
    return read_results(file, evaluator.table(), categories, truth.images, truth.left_out)


def _settings(predictor: Predictor) -> dict[str, str]:
    """The settings that decide what is predicted."""
    model, data = predictor.config.model, predictor.config.data
    return {
        "backbone": model.backbone.name,
        "queries": str(model.queries),
        "short side": f"{data.size} pixels, the long side at most {data.longest * data.size:.0f}",
        "non-maximum suppression": "none" if predictor.nms is None else f"IoU above {predictor.nms:g}",
        "device": str(predictor.device),
        **({"tiles": str(predictor.tiling)} if predictor.tiling is not None else {}),
    }


def _stored_thresholds(predictor: Predictor, categories: Categories) -> tuple[float, ...] | None:
    """The thresholds that the weights carry, by label of the data set; 0.5 for a class that the weights lack."""
    if predictor.thresholds is None:
        return None
    stored = [DEFAULT_THRESHOLD] * len(categories)
    for threshold, label in zip(predictor.thresholds, match_classes(categories, predictor.categories)):
        if label >= 0:
            stored[label] = threshold
    return tuple(stored)


def weights_name(source: str) -> str:
    """A short name for weights: the last folder of the path that is not a generic one, of runs/birds/best `birds`."""
    folder = with_home(source)
    parts = [part for part in folder.resolve().parts[1:] if part not in UNNAMED] if folder.is_dir() else []
    return parts[-1] if parts else source


def folder_of_thresholds(weights: str | os.PathLike[str]) -> Path:
    """The folder whose config.json has the thresholds of weights. Raises CondetrError where these are no folder, or one
    that cannot be written."""
    source = os.fspath(weights)
    folder = weights_of_run(with_home(source))
    if (folder / "config.json").is_file():
        check_writable(folder, "Copy the weights to another folder, and give that one")
        return folder
    way_out = f"Make one: condetr convert {quoted(source)} DIR"
    if is_exported(source):
        way_out = "Give the folder that the file was exported from, and export it again"
    raise CondetrError(f"{source}: thresholds need a folder of weights on this machine. {way_out}")


def save_best_thresholds(
    weights: str | os.PathLike[str], evaluation: Evaluation, replace: bool = False
) -> tuple[float, ...]:
    """Save each class's best threshold with the weights, for `condetr predict --threshold best`; by their labels.

    Raises CondetrError when `weights` is not a local folder of weights in condetr's own format; when AP is below
    0.005, so that no threshold is better than another; and without `replace` when the weights have thresholds chosen on
    `valid` and these were not: a detector whose thresholds are fitted to `test` is not measured by `test` any more.
    """
    folder = folder_of_thresholds(weights)
    if not evaluation.ap >= LEAST_AP:
        raise CondetrError(
            f"{os.fspath(weights)}: no thresholds saved, as AP is {evaluation.ap:.3f} on {evaluation.split.name}: "
            "nothing has been learned"
        )
    before = thresholds_split(folder)
    if before == "valid" != evaluation.split.name and not replace:
        raise CondetrError(
            f"{os.fspath(weights)}: no thresholds saved: it has thresholds chosen on valid, and these were chosen on "
            f"{evaluation.split.name}. `replace_thresholds=True` replaces them"
        )
    labels = match_classes(evaluation.data.categories, load(folder).categories)
    best = evaluation.metrics.thresholds
    thresholds = tuple(best[label] if label >= 0 else DEFAULT_THRESHOLD for label in labels)
    save_thresholds(folder, thresholds, evaluation.split.name)
    return thresholds
