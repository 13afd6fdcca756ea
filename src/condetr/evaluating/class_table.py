"""The classes of an evaluation's page: a table with the weak ones marked, and each class's curves on a click."""

from typing import Any

import numpy as np

from ..metrics import ClassMetrics, Metrics
from ..metrics.coco import IOU_THRESHOLDS
from ..plural import percent
from ..reports.elements import visible
from ..reports.page import Page
from ..reports.tables import Column, Name
from ..types import Categories

FEW = 20  # objects: below, a class's numbers say little
WEAK = 0.5  # a class whose AP is below this share of the mean over the classes is marked
LEAST_AP = 0.0005  # a lower AP is printed as 0.000: the class is marked, whatever the mean
MOST_CONFUSIONS = 5  # named for a class
_COLUMNS = (
    "class", "objects", Column("AP", bar=True), Column("AP50", optional=True), Column("AP75", optional=True),
    Column("AR", optional=True), Column("threshold", optional=True), "precision", "recall", Column("F1", optional=True),
)  # fmt: skip


def class_section(page: Page, metrics: Metrics, categories: Categories) -> None:
    page.heading("Classes")
    page.text("A click on a header sorts the table, one on a class shows its precision–recall curves.")
    page.table(
        _COLUMNS,
        [
            [
                Name(one.name, tag(one, metrics.summary.ap), f"class-{at}"), one.objects, one.ap, one.ap50, one.ap75,
                one.ar, one.best.threshold, one.best.precision, one.best.recall, one.best.f1,
            ]
            for at, one in enumerate(metrics.classes)
        ],
        f"Weak: AP is 0.000 or below {percent(WEAK)} of the mean. Few: under {FEW} objects, so that the "
        "numbers are uncertain. The threshold is the class's best: the confidence threshold with the largest F1 at IoU "
        "0.5; precision, recall and F1 are those at this threshold.",
    )  # fmt: skip
    curves = [one.precision for one in metrics.classes if one.objects]
    rows = [
        _row(one, metrics.confusion.counts[label], categories) for label, one in zip(categories.real, metrics.classes)
    ]
    page.data("classes", {"classes": rows, "mean": _curve(np.mean(curves, axis=0), 0.5)})


def tag(one: ClassMetrics, mean: float) -> str:
    """What a reader should know about a class at once: `no objects`, `few`, `weak` or nothing."""
    if not one.objects:
        return "no objects"
    marks = ["weak"] * (one.ap < max(WEAK * mean, LEAST_AP)) + ["few"] * (one.objects < FEW)
    return ", ".join(marks)


def _row(one: ClassMetrics, confused: np.ndarray, categories: Categories) -> dict[str, Any]:
    """A class for the page's script. Curves are in thousandths at recall 0, 0.01 … 1; None without objects."""
    found = 0 if not one.objects else round(one.best.recall * one.objects)
    false = round(found / one.best.precision) - found if found else 0
    return {
        "name": visible(one.name), "objects": one.objects, "ap": one.ap, "ap50": one.ap50, "ap75": one.ap75,
        "ar": one.ar, "threshold": one.best.threshold, "precision": one.best.precision, "recall": one.best.recall,
        "found": found, "missed": one.objects - found, "false": false, "confused": _confused(one, confused, categories),
        "curve50": _curve(one.precision, 0.5) if one.objects else None,
        "curve75": _curve(one.precision, 0.75) if one.objects else None,
    }  # fmt: skip


def _confused(one: ClassMetrics, counts: np.ndarray, categories: Categories) -> list[tuple[str, int]]:
    """The classes for which objects of a class are most often taken, and how often."""
    others = [(categories.name(k), int(counts[k])) for k in categories.real if counts[k]]
    others = [(visible(name), count) for name, count in others if name != one.name]
    return sorted(others, key=lambda other: -other[1])[:MOST_CONFUSIONS]


def _curve(precision: np.ndarray, iou: float) -> list[int]:
    at = int(np.flatnonzero(np.isclose(IOU_THRESHOLDS, iou))[0])
    return np.rint(1000 * precision[at]).astype(int).tolist()
