"""The page of an evaluation: what a person who decides about a detector wants to see, most important first."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..datasets.dataset import DataSet, Split
from ..errors import ImageError
from ..images.decode import Pixels, open_image
from ..metrics import NAMES, ClassResult, Columns, Evaluation, ImageResult
from ..metrics.coco import RECALLS
from ..metrics.mistakes import KINDS
from ..metrics.precision import Interval
from ..reports.drawing import draw_boxes
from ..reports.page import BLUE, GREY, ORANGE, PURPLE, RED, Page, chart
from ..types import Categories, Sample

MOST_CURVES = 8  # classes drawn one by one; of more, the mean and a shade
LARGEST_MATRIX = 25  # classes shown in the confusion table
WORST, BEST = 9, 6  # images

_MEANINGS = (
    "mean over IoU 0.50 … 0.95", "at IoU 0.50", "at IoU 0.75", "objects under 32² pixels", "32² to 96² pixels",
    "96² pixels and more", "recall with 1 detection an image", "with 10", "with 100", "small, with 100",
    "medium, with 100", "large, with 100",
)  # fmt: skip
_KIND_MEANINGS = {
    "localisation": "the right class, but the box overlaps the object by only 0.1 to 0.5",
    "class": "a good box with the wrong class",
    "both": "wrong class and poor box",
    "duplicate": "an object that was found already, found again",
    "background": "nothing is there",
    "missed": "an object that no answer came near",
}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What was evaluated: what people call it, its kind, and the path, id or file it was read from."""

    name: str
    model: str
    source: str


def page(
    of: Evaluated, data: DataSet, split: Split, columns: Columns, evaluation: Evaluation, warnings: Sequence[str]
) -> Page:
    number = f"{evaluation.images:,} image{'s' * (evaluation.images != 1)}"
    page = Page(f"How good is {of.name} on {data.name}?", f"{of.model} · {number} of the split '{split.name}'")
    _headline(page, evaluation)
    if warnings:
        items = "".join(f"<li>{html.escape(warning)}</li>" for warning in warnings)
        page.raw(f'<p><b>To be aware of</b></p><ul style="margin-top:0">{items}</ul>')
    _classes(page, evaluation)
    _curves(page, [result for result in evaluation.classes if result.objects])
    _errors(page, evaluation)
    _confusion(page, evaluation, data.categories)
    _calibration(page, evaluation)
    _images(page, split, data.categories, columns, evaluation)
    _twelve(page, evaluation)
    _method(page, evaluation, of, data)
    return page


def _headline(page: Page, evaluation: Evaluation) -> None:
    summary, bootstrap = evaluation.summary, evaluation.bootstrap
    page.numbers(
        [
            ("AP", summary.ap, _between(bootstrap.ap)),
            ("AP50", summary.ap50, _between(bootstrap.ap50)),
            ("AP75", summary.ap75),
            ("AR100", summary.ar100),
            ("images", evaluation.images),
            ("objects", evaluation.objects, f"{evaluation.crowds} crowd regions" if evaluation.crowds else ""),
        ]
    )
    found, wrong = (sum(getattr(p, key) for p in evaluation.by_image) for key in ("found", "wrong"))
    right = f", and {found / (found + wrong):.0%} of its answers are right" if found + wrong else ""
    page.text(
        f"Each class at its best threshold, the detector finds {found:,} of {evaluation.objects:,} objects "
        f"({found / evaluation.objects:.0%}){right}. A found object overlaps its box by half or more (IoU 0.5). "
        f"The ranges are 95 % intervals over the choice of images."
    )


def _between(interval: Interval) -> str:
    return f"{interval.low:.3f} – {interval.high:.3f}"


def _classes(page: Page, evaluation: Evaluation) -> None:
    page.heading("Classes")
    page.table(
        ["class", "objects", "AP", "AP50", "AP75", "AR", "best threshold", "precision there", "recall there", "F1"],
        [
            [
                r.name,
                r.objects,
                r.ap,
                r.ap50,
                r.ap75,
                r.ar,
                r.best.threshold,
                r.best.precision,
                r.best.recall,
                r.best.f1,
            ]
            for r in evaluation.classes
        ],
        "The best threshold is the score from which answers count, chosen for the largest F1 at IoU 0.5.",
    )


def _curves(page: Page, results: list[ClassResult]) -> None:
    page.heading("Precision and recall")
    figure, plots = chart(2, (9.5, 3.9))
    for plot, iou, curves in zip(
        plots, ("0.50", "0.75"), ([r.precision50 for r in results], [r.precision75 for r in results])
    ):
        if len(results) <= MOST_CURVES:
            for number, (result, curve) in enumerate(zip(results, curves)):
                plot.plot(RECALLS, curve, color=_LINES[number % len(_LINES)], linewidth=1.6, label=_short(result.name))
        else:
            low, high = np.quantile(curves, [0.25, 0.75], axis=0)
            half = "the middle half of the classes"
            plot.fill_between(RECALLS, low, high, color=BLUE, alpha=0.18, linewidth=0, label=half)
        if len(results) != 1:
            plot.plot(RECALLS, np.mean(curves, axis=0), color="#000000", linewidth=2.2, label="mean of classes")
        plot.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision")
        plot.set_title(f"IoU {iou}", fontsize=11, loc="left")
    plots[0].legend(fontsize=8, loc="lower left")
    page.figure(figure, "The further to the upper right, the better. The area under the left curves is AP50.")


_LINES = (BLUE, ORANGE, "#2a9d6f", RED, PURPLE, "#1f9fb5", "#a8741a", "#c45ab3")


def _errors(page: Page, evaluation: Evaluation) -> None:
    page.heading("What goes wrong")
    counts, gains = evaluation.errors.counts.tolist(), evaluation.errors.gains.tolist()
    order = np.argsort(gains, kind="stable").tolist()
    figure, (plot,) = chart(1, (8.5, 2.7))
    bars = plot.barh([KINDS[i] for i in order], [max(gains[i], 0.0) for i in order], color=BLUE, height=0.62)
    plot.bar_label(bars, [f"+{max(gains[i], 0.0):.3f}" for i in order], padding=4, fontsize=9)
    plot.margins(x=0.12)
    plot.set_xlabel("AP50 to be gained if these mistakes alone were mended")
    plot.grid(axis="y", visible=False)
    page.figure(figure)
    page.table(
        ["mistake", "how many", "AP50 to gain", "what it is"],
        [[KINDS[i], counts[i], gains[i], _KIND_MEANINGS[KINDS[i]]] for i in reversed(order)],
        "Counted over all answers, however low their score; mistakes with low scores cost little. Kinds and mending "
        "as in TIDE (Bolya et al., ECCV 2020).",
    )


def _confusion(page: Page, evaluation: Evaluation, categories: Categories) -> None:
    page.heading("Which class is taken for which")
    counts = evaluation.confusion.counts
    present = [k for k in categories.real if counts[k].any() or counts[:, k].any()]
    background = len(categories)
    names = {k: categories.name(k) for k in present} | {background: "background"}
    if len(present) <= LARGEST_MATRIX:
        page.raw(_matrix(counts, [*present, background], names))
        page.text(
            "Rows are what is there, columns what the detector says, at each class's best threshold. The last column "
            "counts objects it missed, the last row answers where nothing is."
        )
    mixed = [(int(counts[a, b]), a, b) for a in present for b in present if a != b and counts[a, b]]
    mixed.sort(key=lambda one: -one[0])
    if mixed:
        page.table(
            ["there is", "it says", "times", "of all such objects"],
            [[names[a], names[b], n, f"{n / counts[a].sum():.0%}"] for n, a, b in mixed[:12]],
            "The most frequent mix-ups.",
        )


def _matrix(counts: np.ndarray, shown: list[int], names: dict[int, str]) -> str:
    """A table with shaded cells; the shade is the part of its row."""
    head = "".join(f'<th class="number">{html.escape(_short(names[k]))}</th>' for k in shown)
    rows = []
    for truth in shown:
        total = max(1, counts[truth].sum())
        cells = []
        for answer in shown:
            n, part = int(counts[truth, answer]), float(counts[truth, answer] / total)
            color = "42,157,111" if truth == answer else "209,73,91"
            shade = f"background:rgba({color},{0.08 + 0.6 * part:.2f})" if n else "color:var(--soft)"
            cells.append(f'<td class="number" style="{shade}" title="{part:.0%}">{n:,}</td>')
        rows.append(f"<tr><th>{html.escape(_short(names[truth]))}</th>{''.join(cells)}</tr>")
    top = f"<tr><th>there is ↓ &nbsp; it says →</th>{head}</tr>"
    return f'<div class="scroll"><table><tbody>{top}{"".join(rows)}</tbody></table></div>'


def _calibration(page: Page, evaluation: Evaluation) -> None:
    page.heading("Can its scores be trusted?")
    calibration = evaluation.calibration
    middle = (np.arange(len(calibration.count)) + 0.5) / len(calibration.count)
    figure, (plot, histogram) = chart(2, (9.5, 3.4))
    there = calibration.count > 0
    plot.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="scores that mean what they say")
    plot.plot(calibration.score[there], calibration.precision[there], "o-", color=BLUE, markersize=4, label="here")
    plot.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="score", ylabel="part that is right")
    plot.legend(fontsize=8, loc="upper left")
    histogram.bar(middle, calibration.count, width=0.9 / len(middle), color=BLUE)
    histogram.set(xlim=(0, 1), xlabel="score", ylabel="answers")
    if there.any():
        histogram.set(yscale="log", ylim=(0.7, None))
    page.figure(
        figure,
        f"Of answers with a score of 0.7, seven in ten should be right. Expected calibration error: "
        f"{calibration.error:.3f}.",
    )


def _images(page: Page, split: Split, categories: Categories, columns: Columns, evaluation: Evaluation) -> None:
    samples = {sample.truth.image_id: sample for sample in split}
    ranked = sorted(evaluation.by_image, key=lambda p: (p.f1, -(p.wrong + p.missed), p.image_id))
    worst = [p for p in ranked if p.wrong + p.missed][:WORST]
    best = [p for p in sorted(ranked, key=lambda p: (-p.f1, -p.found, p.image_id)) if p.found and p not in worst][:BEST]
    legend = "Dashed: what is there. Solid: what the detector says, with its score, at each class's best threshold."
    for heading, results in (("The worst images", worst), ("The best images", best)):
        if results:
            page.heading(heading)
            page.text(legend)
            page.gallery(_drawn(((samples[r.image_id], r) for r in results), categories, columns, evaluation))


def _drawn(
    chosen: Iterable[tuple[Sample, ImageResult]], categories: Categories, columns: Columns, evaluation: Evaluation
) -> list[tuple[Pixels, str]]:
    bars, drawn = np.array(evaluation.thresholds), []
    for sample, result in chosen:
        try:
            pixels = open_image(sample.path)
        except ImageError:
            continue
        image = int(np.searchsorted(columns.image_ids, result.image_id))
        rows = np.flatnonzero(columns.found_image == image)
        rows = rows[columns.found_score[rows] >= bars[columns.found_label[rows]]]
        rows = rows[np.argsort(-columns.found_score[rows], kind="stable")]
        labels, boxes = columns.found_label[rows], columns.found_box[rows]
        captions = [
            f"{categories.name(k)} {s:.2f}" for k, s in zip(labels.tolist(), columns.found_score[rows].tolist())
        ]
        truth = sample.truth
        pixels = draw_boxes(pixels, truth.boxes, [""] * len(truth), truth.labels, dashed=True)
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
        pixels = draw_boxes(pixels, corners, captions, labels)
        says = f"{sample.path.name}: {result.found} found, {result.missed} missed, {result.wrong} wrong"
        drawn.append((pixels, says))
    return drawn


def _twelve(page: Page, evaluation: Evaluation) -> None:
    page.heading("The twelve COCO numbers")
    page.table(
        ["number", "value", "what it is"],
        [
            [key, None if value < 0 else value, meaning]
            for key, value, meaning in zip(NAMES, evaluation.summary.named().values(), _MEANINGS)
        ],
        "AP: average precision, AR: average recall, both from 0 to 1. A dash: no object of that size.",
    )


def _method(page: Page, evaluation: Evaluation, of: Evaluated, data: DataSet) -> None:
    page.heading("How this was measured")
    page.text(f"Evaluated: {of.source}, on {data.root} ({data.format}).")
    bootstrap = evaluation.bootstrap
    page.text(
        "The twelve numbers follow the COCO protocol and equal pycocotools' to the last digits: at most 100 detections "
        "an image and class, ten IoU thresholds, 101 recalls; crowd regions neither reward nor punish."
    )
    page.text(
        f"Intervals: bias-corrected bootstrap over images, {bootstrap.resamples:,} resamples, "
        f"{bootstrap.level:.0%}. They say how much the numbers depend on which images were chosen, not how much "
        "another training would change. Thresholds that were chosen on these images look a little better here than "
        "they will elsewhere."
    )


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
