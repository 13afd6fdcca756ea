"""COCO results files, read and written: a JSON list of {image_id, category_id, bbox: [x, y, width, height], score}."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..image_keys import Key, key_of
from ..text import decoded
from ..types import Categories
from .box_table import BoxTable
from .image_index import ImageIndex

HOW_TO_WRITE = "`condetr predict IMAGES --format coco` writes coco.json"


def read_results(
    path: Path, truth: BoxTable, categories: Categories, images_of: ImageIndex, left_out: Collection[int] = ()
) -> BoxTable:
    """The ground truth of `truth` with the detections of a file; boxes and scores are exactly the file's numbers.

    Detections on the images `left_out` are skipped. Raises DataError, naming the entry, for an entry that is not a
    valid result for these images.
    """
    index = {image_id: i for i, image_id in enumerate(truth.image_ids.tolist())}
    images, labels, scores, boxes = [], [], [], []
    for number, entry in enumerate(_load(path)):
        category_id, box, score = _fields(entry, f"{path}: detection {number}")
        try:
            image_id = images_of.find(entry)
        except ValueError as error:
            raise DataError(f"{path}: detection {number}: {error}") from None
        if image_id in left_out:
            continue
        if category_id not in categories.label_of:
            known = ", ".join(str(id) for id in list(categories.label_of)[:10])
            raise DataError(
                f"{path}: detection {number}: category_id {category_id} is not a class of the data set ({known}). "
                "Use the data set's category ids"
            )
        images.append(index[image_id])
        labels.append(categories.label_of[category_id])
        scores.append(score)
        boxes.append(box)
    order = np.argsort(np.array(images, np.int64), kind="stable")
    return replace(
        truth,
        detected_image=np.array(images, np.int64)[order],
        detected_label=np.array(labels, np.int64)[order],
        detected_score=np.array(scores, np.float64)[order],
        detected_box=np.array(boxes, np.float64).reshape(-1, 4)[order],
    )


def coco_results(table: BoxTable, categories: Categories, keys: Mapping[int, Key]) -> list[dict[str, Any]]:
    """All detections as COCO results, with the data set's category and image ids; `keys` are these by the table's."""
    ids = [keys[id] for id in table.image_ids.tolist()]
    return [
        {"image_id": ids[image], "category_id": categories.ids[label], "bbox": box, "score": score}
        for image, label, box, score in zip(
            table.detected_image.tolist(), table.detected_label.tolist(), table.detected_box.tolist(),
            table.detected_score.tolist(),
        )
    ]  # fmt: skip


def _load(path: Path) -> list[Any]:
    try:
        content = json.loads(decoded(path.read_bytes()))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        if path.suffix == ".jsonl":
            raise DataError(f"{path}: JSON lines, not COCO results: {HOW_TO_WRITE}") from None
        raise DataError(f"{path}: not valid JSON ({error})") from None
    if isinstance(content, dict) and isinstance(content.get("annotations"), list) and content["annotations"]:
        content = content["annotations"]  # of a COCO file with scores, as other tools export predictions
    if not isinstance(content, list):
        raise DataError(f"{path}: must be a JSON list of detections (COCO results), not a {type(content).__name__}")
    return content


def _fields(entry: Any, where: str) -> tuple[int, list[float], float]:
    if not isinstance(entry, dict):
        raise DataError(f"{where}: must be an object with image_id, category_id, bbox and score")
    for name in ("image_id", "category_id", "bbox", "score"):
        if name not in entry and not (name == "image_id" and "file_name" in entry):
            raise DataError(f"{where}: has no {name}")
    category_id = key_of(entry["category_id"])
    if not isinstance(category_id, int):
        raise DataError(f"{where}: category_id must be a whole number, not {entry['category_id']!r:.40}")
    if not _is_number(entry["score"]):
        raise DataError(f"{where}: score must be a finite number, not {entry['score']!r:.40}")
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise DataError(f"{where}: bbox must be four finite numbers [x, y, width, height], not {box!r:.60}")
    if box[2] < 0 or box[3] < 0:
        raise DataError(f"{where}: bbox has a negative size: {box!r:.60}. COCO's boxes are [x, y, width, height]")
    return category_id, [float(x) for x in box], float(entry["score"])


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)
