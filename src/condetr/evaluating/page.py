"""The HTML page of an evaluation, the most important results first."""

import html

import numpy as np

from ..metrics import NAMES, Metrics
from ..metrics.bootstrap import Interval
from ..metrics.error_types import ERROR_TYPES
from ..reports.page import Page
from ..types import Categories
from .drawings import LAYERS, drawings
from .evaluation import Evaluation
from .figures import calibration_figure, error_figure, precision_recall_figure, short

LARGEST_MATRIX = 25  # classes shown in the confusion matrix
WORST, BEST = 9, 6  # images

_NUMBERS = (
    "mean over IoU 0.50 … 0.95", "at IoU 0.50", "at IoU 0.75", "objects under 32² pixels", "32² to 96² pixels",
    "96² pixels and more", "recall with 1 detection per image", "with 10", "with 100", "small, with 100",
    "medium, with 100", "large, with 100",
)  # fmt: skip
_ERROR_TYPES = {
    "localisation": "the class is right, but the IoU with the object is only 0.1 to 0.5",
    "class": "the box is good, but the class is wrong",
    "both": "the class is wrong and the box is poor",
    "duplicate": "the object was detected already",
    "background": "there is no object",
    "missed": "the object was not detected",
}


def page(evaluation: Evaluation) -> Page:
    metrics = evaluation.metrics
    number = f"{metrics.images:,} image{'s' * (metrics.images != 1)}"
    page = Page(
        f"Evaluation of {evaluation.name} on {evaluation.data.name}",
        f"{evaluation.model} · {number} of the split '{evaluation.split.name}'",
    )
    _headline(page, metrics)
    if evaluation.warnings:
        items = "".join(f"<li>{html.escape(warning)}</li>" for warning in evaluation.warnings)
        page.raw(f'<p><b>Warnings</b></p><ul style="margin-top:0">{items}</ul>')
    _classes(page, metrics)
    page.heading("Precision and recall")
    page.figure(precision_recall_figure(metrics.classes), "The area under the curves at IoU 0.50 is AP50.")
    _errors(page, metrics)
    _confusion(page, metrics, evaluation.data.categories)
    page.heading("Calibration")
    page.figure(
        calibration_figure(metrics.calibration),
        "With calibrated scores, seven in ten detections with a score of 0.7 are correct. Expected calibration error: "
        f"{metrics.calibration.error:.3f}.",
    )
    _images(page, evaluation)
    _twelve(page, evaluation)
    _method(page, evaluation)
    return page


def _headline(page: Page, metrics: Metrics) -> None:
    summary, bootstrap = metrics.summary, metrics.bootstrap
    page.numbers(
        [
            ("AP", summary.ap, _between(bootstrap.ap)),
            ("AP50", summary.ap50, _between(bootstrap.ap50)),
            ("AP75", summary.ap75),
            ("AR100", summary.ar100),
            ("images", metrics.images),
            ("objects", metrics.objects, f"{metrics.crowds} crowd regions" if metrics.crowds else ""),
        ]
    )
    correct, false = (sum(getattr(one, key) for one in metrics.by_image) for key in ("correct", "false"))
    precision = f", and {correct / (correct + false):.0%} of its detections are correct" if correct + false else ""
    page.text(
        f"With each class at its best threshold, the detector finds {correct:,} of {metrics.objects:,} objects "
        f"({correct / metrics.objects:.0%}){precision}. A detection is correct when its IoU with an object of its "
        f"class is 0.5 or more. The ranges are 95 % intervals over the choice of images."
    )


def _between(interval: Interval) -> str:
    return f"{interval.low:.3f} – {interval.high:.3f}"


def _classes(page: Page, metrics: Metrics) -> None:
    page.heading("Classes")
    page.table(
        ["class", "objects", "AP", "AP50", "AP75", "AR", "best threshold", "precision", "recall", "F1"],
        [
            [
                one.name, one.objects, one.ap, one.ap50, one.ap75, one.ar, one.best.threshold, one.best.precision,
                one.best.recall, one.best.f1,
            ]
            for one in metrics.classes
        ],
        "The best threshold is the confidence threshold with the largest F1 at IoU 0.5. Precision, recall and F1 are "
        "those at this threshold.",
    )  # fmt: skip


def _errors(page: Page, metrics: Metrics) -> None:
    page.heading("Errors")
    counts, gains = metrics.errors.counts.tolist(), metrics.errors.gains.tolist()
    order = np.argsort(gains, kind="stable").tolist()
    page.figure(error_figure([ERROR_TYPES[i] for i in order], [gains[i] for i in order]))
    page.table(
        ["error", "count", "AP50 gain", "meaning"],
        [[ERROR_TYPES[i], counts[i], gains[i], _ERROR_TYPES[ERROR_TYPES[i]]] for i in reversed(order)],
        "Counted over all detections, with low scores too; errors with low scores change AP little. The error types "
        "and gains are those of TIDE (Bolya et al., ECCV 2020).",
    )


def _confusion(page: Page, metrics: Metrics, categories: Categories) -> None:
    page.heading("Confusion matrix")
    counts = metrics.confusion.counts
    present = [k for k in categories.real if counts[k].any() or counts[:, k].any()]
    background = len(categories)
    names = {k: categories.name(k) for k in present} | {background: "background"}
    if len(present) <= LARGEST_MATRIX:
        page.raw(_matrix(counts, [*present, background], names))
        page.text(
            "Rows are true classes, columns are predicted classes, at each class's best threshold. The last column "
            "counts missed objects, the last row detections where there is no object."
        )
    confused = [(int(counts[a, b]), a, b) for a in present for b in present if a != b and counts[a, b]]
    confused.sort(key=lambda one: -one[0])
    if confused:
        page.table(
            ["true class", "predicted class", "count", "of all objects of the true class"],
            [[names[a], names[b], n, f"{n / counts[a].sum():.0%}"] for n, a, b in confused[:12]],
            "The most frequent confusions.",
        )


def _matrix(counts: np.ndarray, labels: list[int], names: dict[int, str]) -> str:
    """A table of counts; the shade of a cell is its share of the row."""
    head = "".join(f'<th class="number">{html.escape(short(names[k]))}</th>' for k in labels)
    rows = []
    for truth in labels:
        total = max(1, counts[truth].sum())
        cells = []
        for predicted in labels:
            n, share = int(counts[truth, predicted]), float(counts[truth, predicted] / total)
            color = "42,157,111" if truth == predicted else "209,73,91"
            shade = f"background:rgba({color},{0.08 + 0.6 * share:.2f})" if n else "color:var(--soft)"
            cells.append(f'<td class="number" style="{shade}" title="{share:.0%}">{n:,}</td>')
        rows.append(f"<tr><th>{html.escape(short(names[truth]))}</th>{''.join(cells)}</tr>")
    top = f"<tr><th>true ↓ &nbsp; predicted →</th>{head}</tr>"
    return f'<div class="scroll"><table><tbody>{top}{"".join(rows)}</tbody></table></div>'


def _images(page: Page, evaluation: Evaluation) -> None:
    ranked = sorted(evaluation.metrics.by_image, key=lambda one: (one.f1, -(one.false + one.missed), one.image_id))
    worst = [one for one in ranked if one.false + one.missed][:WORST]
    best = sorted(ranked, key=lambda one: (-one.f1, -one.correct, one.image_id))
    best = [one for one in best if one.correct and one not in worst][:BEST]
    samples = {sample.truth.image_id: sample for sample in evaluation.split}
    for heading, images in (("The worst images", worst), ("The best images", best)):
        if images:
            page.heading(heading)
            ids = [one.image_id for one in images]
            metrics, names = evaluation.metrics, evaluation.data.categories
            page.marked_gallery(drawings(samples, ids, evaluation.table, metrics.thresholds, names), LAYERS)


def _twelve(page: Page, evaluation: Evaluation) -> None:
    page.heading("The twelve COCO numbers")
    page.table(
        ["number", "value", "meaning"],
        [
            [name, None if value < 0 else value, meaning]
            for name, value, meaning in zip(NAMES, evaluation.numbers.values(), _NUMBERS)
        ],
        "AP: average precision, AR: average recall, both from 0 to 1. A dash: no object of that size.",
    )


def _method(page: Page, evaluation: Evaluation) -> None:
    data, bootstrap = evaluation.data, evaluation.metrics.bootstrap
    page.heading("Method")
    page.text(f"Evaluated: {evaluation.source}, on {data.root} ({data.format}).")
    page.text(
        "The twelve numbers follow COCO's protocol and equal pycocotools' to the last digits: at most 100 detections "
        "per image and class, ten IoU thresholds, 101 recalls; detections in crowd regions are ignored."
    )
    page.text(
        f"Intervals: bias-corrected bootstrap over images, {bootstrap.resamples:,} resamples, {bootstrap.level:.0%}. "
        "They show how much the numbers depend on the choice of images, not how much another training would change "
        "them. Thresholds chosen on these images look slightly better here than on other images."
    )
