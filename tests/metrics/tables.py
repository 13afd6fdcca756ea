"""Box tables of images that are written by hand."""

import numpy as np

from condetr.detections import Detections
from condetr.metrics import BoxTable, Evaluator
from condetr.types import Categories, Truth

NAMES = ("cat", "dog", "owl")
THREE = Categories((7, 8, 9), NAMES)
Objects = list[tuple[str, tuple[float, float, float, float]]]
Predicted = list[tuple[str, tuple[float, float, float, float], float]]


def table_of(truths: list[Truth], detections: list[Detections], categories: Categories) -> BoxTable:
    evaluator = Evaluator(categories)
    for truth, found in zip(truths, detections):
        evaluator.add(truth, found)
    return evaluator.table()


def image(
    image_id: int, objects: Objects, predicted: Predicted, categories: Categories = THREE
) -> tuple[Truth, Detections]:
    """One image: (name, xyxy) for its objects, (name, xyxy, score) for its detections."""
    truth = Truth(
        image_id,
        (200, 200),
        np.array([box for _, box in objects], float).reshape(-1, 4),
        np.array([NAMES.index(name) for name, _ in objects], int),
        np.zeros(len(objects), bool),
        np.array([(b[2] - b[0]) * (b[3] - b[1]) for _, b in objects], float),
    )
    predicted = sorted(predicted, key=lambda one: -one[2])
    found = Detections(
        np.array([box for _, box, _ in predicted], float).reshape(-1, 4),
        np.array([score for *_, score in predicted], float),
        np.array([categories.names.index(name) for name, *_ in predicted], int),
        np.arange(len(predicted)),
        categories,
        (200, 200),
    )
    return truth, found
