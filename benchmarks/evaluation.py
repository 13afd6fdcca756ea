"""Compares the time for the twelve COCO numbers of 500 000 detections (5000 images, 80 classes) with pycocotools.

    python -m benchmarks.evaluation [--rounds 3] [--quick]

Both start from detections and ground truth in memory, as in a training run. The numbers must be equal.
"""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmarks.pairing import HEADER, options, row, seconds
from condetr.detections import Detections
from condetr.metrics import Evaluator
from condetr.types import Categories, Truth

CATEGORIES = Categories(tuple(range(1, 81)), tuple(f"class {i}" for i in range(80)))


def scene(images: int) -> tuple[list[Truth], list[Detections]]:
    """Seven objects and a hundred detections in each image; a third have the label of an object near them."""
    random = np.random.default_rng(0)
    truths, detections = [], []
    for number in range(images):
        corner = random.random((7, 2)) * 400
        boxes = np.concatenate([corner, corner + 20 + random.random((7, 2)) * 200], 1)
        labels = random.integers(0, 80, 7)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        truths.append(Truth(number + 1, (640, 640), boxes, labels, np.zeros(7, dtype=bool), areas))
        near = random.integers(0, 7, 100)
        found = (boxes[near] + random.normal(0, 8, (100, 4)) * random.integers(1, 9, (100, 1))).astype(np.float32)
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        guessed = np.where(random.random(100) < 0.33, labels[near], random.integers(0, 80, 100))
        score = -np.sort(-random.random(100)).astype(np.float32)
        detections.append(Detections(found, score, guessed, np.arange(100), CATEGORIES, (640, 640)))
    return truths, detections


def ours(truths: list[Truth], detections: list[Detections]) -> np.ndarray:
    evaluator = Evaluator(CATEGORIES)
    for truth, found in zip(truths, detections):
        evaluator.add(truth, found)
    return np.array(list(evaluator.summary().named().values()))


def theirs(truth: dict, results: list[dict]) -> np.ndarray:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes([dict(result) for result in results]), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats


def as_coco(truths: list[Truth]) -> dict:
    annotations = [
        {
            "image_id": t.image_id,
            "category_id": int(label) + 1,
            "bbox": [a, b, c - a, d - b],
            "area": area,
            "iscrowd": 0,
        }
        for t in truths
        for label, (a, b, c, d), area in zip(t.labels, t.boxes.tolist(), t.areas.tolist())
    ]
    return {
        "images": [{"id": t.image_id, "width": 640, "height": 640} for t in truths],
        "annotations": [one | {"id": number} for number, one in enumerate(annotations, 1)],
        "categories": [{"id": i} for i in CATEGORIES.ids],
    }


def main() -> None:
    given = options(__doc__, rounds=3)
    truths, detections = scene(200 if given.quick else 5000)
    truth = as_coco(truths)
    results = [one for t, found in zip(truths, detections) for one in found.to_coco(t.image_id)]
    off = np.abs(ours(truths, detections) - theirs(truth, results)).max()
    time = seconds({"ours": lambda: ours(truths, detections), "theirs": lambda: theirs(truth, results)}, given.rounds)
    print(HEADER)
    print(row(f"{len(results)} detections", time["ours"], time["theirs"], 0.1, "s"))
    print(f"\n- largest difference of the twelve numbers: {off:.1e}")


if __name__ == "__main__":
    main()
