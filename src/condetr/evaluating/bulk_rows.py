"""The Parquet files of `condetr bulk` as detections to evaluate: the same numbers as with the weights themselves."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..bulk_predicting.images import Image, is_address
from ..bulk_predicting.plan import Plan
from ..detections import Detections
from ..errors import CondetrError, DataError, first_line
from ..extras import imported
from ..metrics import Evaluator
from ..metrics.coco_results import HOW_TO_WRITE
from ..types import Categories, Sample
from .ground_truth import GroundTruth


def evaluate_rows(folder: Path, truth: GroundTruth) -> tuple[Evaluator, list[str]]:
    """All images of a split with the detections of their rows, and warnings. Rows of other images are passed over.

    An image without a row counts as one without detections; one whose row has an error is left out, as it is with the
    weights. Raises DataError for a folder that no finished bulk run has written, and where no row is of the split.
    """
    try:
        plan = Plan.load(folder)
    except CondetrError as error:
        raise DataError(str(error)) from None
    if plan is None:
        raise DataError(
            f"{folder}: not the folder of a `condetr bulk` run. Give one, or a COCO results file: {HOW_TO_WRITE}"
        )
    if len(plan.finished()) < plan.shards:
        raise DataError(f"{folder}: the bulk run is not finished. Repeat its command first")
    categories = Categories(*(tuple(column) for column in zip(*plan.settings["categories"])))
    samples = _Samples(truth)
    evaluator, unread = Evaluator(truth.data.categories), []
    rows_of: dict[int, str] = {}
    for image, row in _rows(plan):
        sample = samples.find(image)
        if sample is None:
            continue
        id = sample.truth.image_id
        if id in rows_of:
            raise DataError(f"{folder}: {rows_of[id]} and {image.name} are both rows of {sample.path}")
        rows_of[id] = image.name
        if row["error"] is None:
            evaluator.add(sample.truth, _detections(row, categories))
        else:
            unread.append(f"left out, cannot be read: {sample.path.name}: {row['error']}")
    if not rows_of:
        split = truth.split.name
        raise DataError(f"{folder}: none of its {plan.images:,} rows is an image of '{split}'. Choose its `split`")
    missing = [sample for sample in truth.split if sample.truth.image_id not in rows_of]
    for sample in missing:
        evaluator.add(sample.truth, _none(categories, sample.truth.size))
    return evaluator, [*_warnings(plan, len(missing), len(truth.split)), *unread]


class _Samples:
    """The images of a split by their paths, and for rows from elsewhere (another machine, a store) by their names."""

    def __init__(self, truth: GroundTruth) -> None:
        self.truth = truth
        self.by_path = {os.path.realpath(sample.path): sample for sample in truth.split}
        self.by_id = {sample.truth.image_id: sample for sample in truth.split}
        self.root = Path(os.path.realpath(truth.data.root))

    def find(self, image: Image) -> Sample | None:
        if not is_address(image.location):
            path = os.path.realpath(image.location)
            if path in self.by_path or Path(path).is_relative_to(self.root):
                return self.by_path.get(path)  # None: an image of another split
        try:
            return self.by_id.get(self.truth.images.find({"file_name": image.name}))
        except ValueError:
            return None


def _rows(plan: Plan) -> Iterator[tuple[Image, dict[str, Any]]]:
    arrow, parquet = imported("pyarrow", "bulk"), imported("pyarrow.parquet", "bulk")
    for shard in plan.read():
        file = plan.file(shard.number)
        try:
            yield from zip(shard.images, parquet.read_table(file).to_pylist(), strict=True)
        except (arrow.ArrowException, OSError) as error:
            raise DataError(f"{file}: cannot be read ({first_line(error)})") from None


def _detections(row: dict[str, Any], categories: Categories) -> Detections:
    labels = np.array(row["labels"], np.int64)
    boxes = np.array(row["boxes"], np.float32).reshape(-1, 4)
    scores = np.array(row["scores"], np.float32)
    return Detections(boxes, scores, labels, np.arange(len(labels)), categories, (row["width"], row["height"]))


def _none(categories: Categories, size: tuple[int, int]) -> Detections:
    nothing = np.empty(0, np.int64)
    return Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), nothing, nothing, categories, size)


def _warnings(plan: Plan, missing: int, images: int) -> list[str]:
    """What makes the numbers other than those of the weights."""
    threshold, warnings = plan.settings["threshold"], []
    if max(threshold) > 0 if isinstance(threshold, list) else threshold > 0:
        least = "the threshold of each class" if isinstance(threshold, list) else f"the threshold {threshold:g}"
        warnings.append(
            f"the rows have only detections from {least} on, and AP counts what is missing: predict them again "
            "with `threshold=0` to measure the weights"
        )
    if plan.settings["classes"] is not None:
        warnings.append(f"the rows have only the classes {', '.join(plan.settings['classes'])}")
    if missing:
        warnings.append(f"{missing:,} of {images:,} images have no row: they count as images without detections")
    return warnings
