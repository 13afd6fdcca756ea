"""Random images with what evaluators get wrong: ties, crowd regions, empty images, annotated areas, crowded classes;
and their evaluation by pycocotools."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from condetr.detections import Detections
from condetr.metrics import Evaluator, Metrics
from condetr.types import Categories, Truth

Scene = tuple[list[Truth], list[Detections], Categories]


def measure(
    truths: Sequence[Truth], detections: Sequence[Detections], categories: Categories, resamples: int = 1000
) -> Metrics:
    """The metrics of the detections of each image; `categories` are the data set's."""
    evaluator = Evaluator(categories)
    for truth, detected in zip(truths, detections, strict=True):
        evaluator.add(truth, detected)
    return evaluator.metrics(resamples)


def scene(
    seed: int, images: int = 12, classes: int = 4, objects: int = 7, predicted: int = 20, tied: bool = True
) -> Scene:
    """`tied` rounds boxes to whole pixels and scores to tenths, so that IoUs and scores are often equal."""
    random = np.random.default_rng(seed)
    categories = Categories(tuple(int(i) for i in random.permutation(90)[:classes]), tuple("abcdefghij"[:classes]))
    truths, detections = [], []
    for image_id in random.permutation(1000)[:images].tolist():
        m = int(random.integers(0, objects + 1)) * int(random.random() > 0.2)
        boxes = _boxes(random, m, tied)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) * random.choice([1.0, 0.6], m)
        crowd = random.random(m) < 0.15
        truths.append(Truth(image_id, (300, 300), boxes, random.integers(0, classes, m), crowd, areas))
        n = int(random.integers(0, predicted + 1)) * int(random.random() > 0.2)
        guessed = _boxes(random, n, tied)
        labels = random.integers(0, classes, n)
        for i in range(n if m else 0):
            if random.random() < 0.6:  # near an object, mostly of its class
                j = random.integers(m)
                guessed[i] = boxes[j] + np.sort(random.integers(-8, 9, 4))[[0, 1, 3, 2]] * (random.random() < 0.8)
                labels[i] = truths[-1].labels[j] if random.random() < 0.8 else labels[i]
        guessed[:, 2:] = np.maximum(guessed[:, 2:], guessed[:, :2] + 1)
        scores = random.random(n)
        scores = np.round(scores, 1) if tied else scores
        order = np.argsort(-scores, kind="stable")
        detections.append(
            Detections(
                guessed[order].astype(np.float32),
                scores[order].astype(np.float32),
                labels[order],
                np.arange(n),
                categories,
                (300, 300),
            )
        )
    return truths, detections, categories


def _boxes(random: np.random.Generator, number: int, tied: bool) -> np.ndarray:
    corner = random.random((number, 2)) * 200
    side = 4 + random.random((number, 2)) ** 2 * 120
    boxes = np.concatenate([corner, corner + side], 1)
    return np.round(boxes) if tied else boxes


def pycocotools_eval(truths: list[Truth], detections: list[Detections], categories: Categories) -> COCOeval:
    """pycocotools' evaluation of the same images."""
    annotations = [
        {
            "id": 0, "image_id": truth.image_id, "category_id": categories.ids[label], "area": area,
            "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": int(crowd),
        }
        for truth in truths
        for (x1, y1, x2, y2), label, crowd, area in zip(
            truth.boxes.astype(float).tolist(), truth.labels.tolist(), truth.crowd.tolist(), truth.areas.tolist()
        )
    ]  # fmt: skip
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    results = [entry for truth, found in zip(truths, detections) for entry in found.to_coco(truth.image_id)]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": truth.image_id, "width": 300, "height": 300} for truth in truths],
            "annotations": annotations,
            "categories": [{"id": id, "name": str(id)} for id in categories.ids],
        }
        coco.createIndex()
        predicted = coco.loadRes(results) if results else COCO()
        evaluator = COCOeval(coco, predicted, "bbox")
        evaluator.params.imgIds = sorted(truth.image_id for truth in truths)
        evaluator.params.catIds = sorted(categories.ids)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator
