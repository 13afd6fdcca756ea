"""COCO result files, in and out: a JSON list of {image_id, category_id, bbox: [x, y, width, height], score}."""

import json
import math
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..types import Categories
from .columns import Columns


def read_results(path: Path, truth: Columns, categories: Categories, left_out: Collection[int] = ()) -> Columns:
    """The truth's images with the detections of a file; boxes and scores stay exactly the file's numbers.

    Detections on the images `left_out` are skipped. Raises DataError, naming the entry, for anything that is no
    result on these images.
    """
    place = {image_id: i for i, image_id in enumerate(truth.image_ids.tolist())}
    images, labels, scores, boxes = [], [], [], []
    for number, entry in enumerate(_load(path)):
        image, category, box, score = _fields(entry, f"{path}: detection {number}")
        if image in left_out:
            continue
        if image not in place:
            raise DataError(
                f"{path}: detection {number}: image_id {image} is none of the {len(place)} images of this split. "
                "Choose its --split, or remove the detection"
            )
        if category not in categories.label_of:
            there = ", ".join(str(id) for id in list(categories.label_of)[:10])
            raise DataError(f"{path}: detection {number}: category_id {category} is no class of the data set ({there})")
        images.append(place[image])
        labels.append(categories.label_of[category])
        scores.append(score)
        boxes.append(box)
    order = np.argsort(np.array(images, np.int64), kind="stable")
    return replace(
        truth,
        found_image=np.array(images, np.int64)[order],
        found_label=np.array(labels, np.int64)[order],
        found_score=np.array(scores, np.float64)[order],
        found_box=np.array(boxes, np.float64).reshape(-1, 4)[order],
    )


def results(columns: Columns, categories: Categories) -> list[dict[str, Any]]:
    """All detections as COCO results, with the data set's own image and category ids."""
    ids = columns.image_ids.tolist()
    return [
        {"image_id": ids[image], "category_id": categories.ids[label], "bbox": box, "score": score}
        for image, label, box, score in zip(
            columns.found_image.tolist(), columns.found_label.tolist(), columns.found_box.tolist(),
            columns.found_score.tolist(),
        )
    ]  # fmt: skip


def _load(path: Path) -> list[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is no JSON ({error})") from None
    if not isinstance(content, list):
        raise DataError(f"{path}: must be a JSON list of detections (COCO results), not a {type(content).__name__}")
    return content


def _fields(entry: Any, where: str) -> tuple[int, int, list[float], float]:
    if not isinstance(entry, dict):
        raise DataError(f"{where}: must be an object with image_id, category_id, bbox and score")
    for name in ("image_id", "category_id", "bbox", "score"):
        if name not in entry:
            raise DataError(f"{where}: has no {name}")
    for name in ("image_id", "category_id"):
        if type(entry[name]) is not int:
            raise DataError(f"{where}: {name} must be a whole number, not {entry[name]!r:.40}")
    if not _is_number(entry["score"]):
        raise DataError(f"{where}: score must be a finite number, not {entry['score']!r:.40}")
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise DataError(f"{where}: bbox must be four finite numbers [x, y, width, height], not {box!r:.60}")
    if box[2] < 0 or box[3] < 0:
        raise DataError(f"{where}: bbox has a negative size: {box!r:.60}. COCO's boxes are [x, y, width, height]")
    return entry["image_id"], entry["category_id"], [float(x) for x in box], float(entry["score"])


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)
