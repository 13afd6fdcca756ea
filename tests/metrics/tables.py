"""Images as the columns that measuring works on."""

import numpy as np

from condetr.detections import Detections
from condetr.metrics import Columns, Scorer
from condetr.types import Categories, Truth

NAMES = ("cat", "dog", "owl")
THREE = Categories((7, 8, 9), NAMES)
Things = list[tuple[str, tuple[float, float, float, float]]]
Answers = list[tuple[str, tuple[float, float, float, float], float]]


def columns_of(truths: list[Truth], detections: list[Detections], categories: Categories) -> Columns:
    scorer = Scorer(categories)
    for truth, found in zip(truths, detections):
        scorer.add(truth, found)
    return scorer.part()


def image(image_id: int, things: Things, answers: Answers, categories: Categories = THREE) -> tuple[Truth, Detections]:
    """One image written down by hand: (name, xyxy) for objects, (name, xyxy, score) for answers."""
    truth = Truth(
        image_id,
        (200, 200),
        np.array([box for _, box in things], float).reshape(-1, 4),
        np.array([NAMES.index(name) for name, _ in things], int),
        np.zeros(len(things), bool),
        np.array([(b[2] - b[0]) * (b[3] - b[1]) for _, b in things], float),
    )
    answers = sorted(answers, key=lambda answer: -answer[2])
    found = Detections(
        np.array([box for _, box, _ in answers], float).reshape(-1, 4),
        np.array([score for *_, score in answers], float),
        np.array([categories.names.index(name) for name, *_ in answers], int),
        np.arange(len(answers)),
        categories,
        (200, 200),
    )
    return truth, found
