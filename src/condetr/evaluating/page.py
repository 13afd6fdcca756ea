"""The HTML page of an evaluation, the most important results first."""

from datetime import datetime
from importlib import resources

import numpy as np

from ..metrics import NAMES, Metrics
from ..metrics.bootstrap import Interval
from ..metrics.matching import match
from ..metrics.metrics import DEFAULT_THRESHOLD
from ..plural import counted, percent
from ..reports.elements import with_code
from ..reports.page import Page
from .class_table import class_section
from .drawings import LAYERS, drawings
from .figures import calibration_figures, precision_recall_figures
from .mistakes import confusion_section, error_section, threshold_table
from .outcomes import OperatingCounts, operating_counts
from .results import NOTHING_LEARNED, Results

WORST, BEST = 9, 6  # images

_NUMBERS = (
    "mean over IoU 0.50 … 0.95", "at IoU 0.50", "at IoU 0.75", "objects under 32² pixels", "32² to 96² pixels",
    "96² pixels and more", "recall with 1 detection per image", "with 10", "with 100", "small, with 100",
    "medium, with 100", "large, with 100",
)  # fmt: skip


def page(evaluation: Results) -> Page:
    metrics, categories, made = evaluation.metrics, evaluation.data.categories, evaluation.provenance
    number = counted(metrics.images, "image")
    date = _date(made.date)
    page = Page(
        f"Evaluation of {evaluation.subject}",
        f"{evaluation.model} · {number} of the split '{evaluation.split.name}' · {date} · "
        f"condetr {made.versions['condetr']}",
    )
    files = resources.files("condetr.evaluating")
    page.raw(f"<style>{(files / 'page.css').read_text(encoding='utf-8')}</style>")
    _headline(page, evaluation)
    if evaluation.nothing_learned:
        page.text(NOTHING_LEARNED)
    if evaluation.warnings:
        items = "".join(f"<li>{with_code(warning)}</li>" for warning in evaluation.warnings)
        page.raw(f'<p><b>Warnings</b></p><ul style="margin-top:0">{items}</ul>')
    class_section(page, metrics, categories)
    page.heading("Precision and recall")
    page.figure(precision_recall_figures(metrics.classes), "The area under the curves at IoU 0.50 is AP50.")
    error_section(page, metrics)
    confusion_section(page, metrics.confusion, categories)
    _images(page, evaluation)
    if metrics.calibration.count.any():  # otherwise the scores are no probabilities
        page.heading("Calibration")
        page.figure(
            calibration_figures(metrics.calibration),
            "With calibrated scores, seven in ten detections with a score of 0.7 are correct. Expected calibration "
            f"error: {metrics.calibration.error:.3f}.",
        )
    _twelve(page, evaluation)
    _unlimited(page, evaluation)
    _method(page, evaluation)
    page.script((files / "page.js").read_text(encoding="utf-8"))
    return page


def _headline(page: Page, evaluation: Results) -> None:
    metrics = evaluation.metrics
    summary, bootstrap = metrics.summary, metrics.bootstrap
    page.numbers(
        [
            ("AP", summary.ap, _between(bootstrap.ap)),
            ("AP50", summary.ap50, _between(bootstrap.ap50)),
            ("AP75", summary.ap75),
            ("AR100", summary.ar100),
            ("images", metrics.images),
            ("objects", metrics.objects, counted(metrics.crowds, "crowd region") if metrics.crowds else ""),
        ]
    )
    counts = threshold_counts(evaluation)
    _, best = counts[0]
    precision = f", and {percent(best.precision)} of its detections are correct" if best.precision is not None else ""
    found = f"{best.found:,} of {counted(metrics.objects, 'object')}"
    page.text(
        f"With each class at its best threshold, the detector finds {found} "
        f"({percent(best.recall)}){precision}. The ranges are 95 % intervals over the choice of images."
    )
    threshold_table(page, counts)


def threshold_counts(evaluation: Results) -> list[tuple[str, OperatingCounts]]:
    """What is found at each class's best thresholds, at those stored in the weights, if any, and at the default."""
    stored, classes = evaluation.stored_thresholds, len(evaluation.data.categories)
    choices: list[tuple[str, tuple[float, ...]]] = [("the best of each class here", evaluation.metrics.thresholds)]
    if stored is not None:
        choices.append(("stored in the weights: predict's default", stored))
    note = "" if stored is not None else ": predict's default for weights without stored ones"
    choices.append((f"{DEFAULT_THRESHOLD:g}{note}", (DEFAULT_THRESHOLD,) * classes))
    matches = match(evaluation.table, classes)
    return [(name, operating_counts(evaluation.table, matches, np.array(values))) for name, values in choices]


def _between(interval: Interval) -> str:
    return f"{interval.low:.3f} – {interval.high:.3f}"


def _images(page: Page, evaluation: Results) -> None:
    metrics = evaluation.metrics
    ranked = sorted(metrics.by_image, key=lambda one: (one.f1, -(one.false + one.missed), one.image_id))
    worst = [one for one in ranked if one.false + one.missed][:WORST]
    best = sorted(ranked, key=lambda one: (-one.f1, -one.correct, one.image_id))
    best = [one for one in best if one.correct and one not in worst][:BEST]
    samples = {sample.truth.image_id: sample for sample in evaluation.split}
    for heading, images in (("The worst images", worst), ("The best images", best)):
        if images:
            page.heading(heading)
            page.text("The detections are those that reach the best threshold of their class.")
            page.gallery(
                drawings(
                    samples,
                    [one.image_id for one in images],
                    evaluation.table,
                    metrics.thresholds,
                    evaluation.data.categories,
                ),
                LAYERS,
            )


def _twelve(page: Page, evaluation: Results) -> None:
    page.heading("The twelve COCO numbers")
    page.table(
        ["number", "value", "meaning"],
        [
            [name, None if value < 0 else value, meaning]
            for name, value, meaning in zip(NAMES, evaluation.numbers.values(), _NUMBERS)
        ],
        "AP: average precision, AR: average recall, both from 0 to 1. A dash: no object of that size.",
    )


def _unlimited(page: Page, evaluation: Results) -> None:
    numbers = evaluation.metrics.unlimited
    if numbers is None:
        return
    page.heading("Without COCO's limit of 100 detections")
    page.text(
        f"COCO's numbers count the 100 best detections of an image and class. Here an image has up to "
        f"{numbers.detections:,} of a class, and these numbers count all of them."
    )
    page.table(["number", "value"], [[name, None if value < 0 else value] for name, value in numbers.named().items()])


def _date(time: str) -> str:
    """The day of a time in ISO 8601, in one piece that no line divides."""
    return f"{datetime.fromisoformat(time):%d\u00a0%B\u00a0%Y}".lstrip("0")


def _method(page: Page, evaluation: Results) -> None:
    metrics, made = evaluation.metrics, evaluation.provenance
    page.heading("Method")
    facts = {
        "evaluated": evaluation.source,
        "model": evaluation.model,
        **made.settings,
        "data": f"{evaluation.data.root} ({evaluation.data.format_name}), split '{evaluation.split.name}'",
        "time": f"{_date(made.date)}, {datetime.fromisoformat(made.date):%H:%M:%S} UTC",
        **made.versions,
    }
    page.table(["setting", "value"], list(facts.items()))
    page.text(
        "The twelve numbers follow COCO's protocol and equal pycocotools' to the last digits: at most 100 detections "
        "per image and class, ten IoU thresholds, 101 recalls; detections in crowd regions are ignored."
    )
    page.text(_intervals(metrics))


def _intervals(metrics: Metrics) -> str:
    bootstrap = metrics.bootstrap
    return (
        f"Intervals: bias-corrected bootstrap over images, {bootstrap.resamples:,} resamples, "
        f"{percent(bootstrap.level)}. They show how much the numbers depend on the choice of images, not how much "
        "another training would change them. Thresholds chosen on these images look slightly better here than on "
        "other images."
    )
