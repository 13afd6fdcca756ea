"""The errors on an evaluation's page: what confidence thresholds give, the types of errors, the confusion matrix."""

import html
from collections.abc import Sequence

import numpy as np

from ..metrics import Metrics
from ..metrics.confusion import Confusion
from ..metrics.error_types import ERROR_TYPES
from ..plural import counted, percent
from ..reports.elements import visible
from ..reports.page import Page
from ..reports.tables import Cell, Column
from ..types import Categories
from .figures import short
from .outcomes import OperatingCounts

LARGEST_MATRIX = 25  # classes shown in the confusion matrix
MOST_CONFUSIONS = 12
_MEANINGS = {
    "localisation": "the class is right, but the IoU with the object is only 0.1 to 0.5",
    "class": "the box is good, but the class is wrong",
    "both": "the class is wrong and the box is poor",
    "duplicate": "the object was detected already",
    "background": "there is no object",
    "missed": "no detection, not even one with a poor box or a wrong class",
}


def threshold_table(page: Page, counts: Sequence[tuple[str, OperatingCounts]]) -> None:
    """What the detector finds at each choice of confidence thresholds."""
    page.table(
        [
            "confidence threshold", "found", "missed", "false", Column("precision", optional=True),
            Column("recall", optional=True),
        ],
        [[name, one.found, one.missed, one.false, one.precision, one.recall] for name, one in counts],
        "A detection is correct when its IoU with an object of its class is 0.5 or more; otherwise it is false.",
    )  # fmt: skip


def error_section(page: Page, metrics: Metrics) -> None:
    page.heading("Error types")
    counts, confident, gains = (getattr(metrics.errors, name).tolist() for name in ("counts", "confident", "gains"))
    order = np.argsort(gains, kind="stable").tolist()
    page.table(
        ["type", "count", Column("AP50 gain", bar=True), "meaning"],
        [[ERROR_TYPES[i], confident[i], max(0.0, gains[i]), _MEANINGS[ERROR_TYPES[i]]] for i in reversed(order)],
        "The counts are those at each class's best threshold. The gain is the increase of AP50 if only these errors "
        "were corrected. It is computed from all detections, also those with low scores: "
        f"{counted(metrics.detections, 'detection')}, {counted(sum(counts), 'error')}. The types and gains are those "
        "of TIDE (Bolya et al., ECCV 2020).",
    )


def confusion_section(page: Page, confusion: Confusion, categories: Categories) -> None:
    page.heading("Confusion matrix")
    counts = confusion.counts
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
        rows: list[list[Cell]] = [
            [names[a], names[b], n, percent(n / counts[a].sum())] for n, a, b in confused[:MOST_CONFUSIONS]
        ]
        page.table(["true class", "predicted class", "count", "of the class"], rows, "The most frequent confusions.")


def _matrix(counts: np.ndarray, labels: list[int], names: dict[int, str]) -> str:
    """A table of counts; the shade of a cell is its share of the row."""
    shown = {label: html.escape(visible(short(name))) for label, name in names.items()}
    head = "".join(f'<th class="number" scope="col">{shown[k]}</th>' for k in labels)
    rows = []
    for truth in labels:
        total = max(1, counts[truth].sum())
        cells = []
        for predicted in labels:
            n, share = int(counts[truth, predicted]), float(counts[truth, predicted] / total)
            color = "42,157,111" if truth == predicted else "209,73,91"
            shade = f"background:rgba({color},{0.08 + 0.6 * share:.2f})" if n else "color:var(--soft)"
            cells.append(f'<td class="number" style="{shade}" title="{percent(share)}">{n:,}</td>')
        rows.append(f'<tr><th scope="row">{shown[truth]}</th>{"".join(cells)}</tr>')
    top = f"<tr><th>true ↓ &nbsp; predicted →</th>{head}</tr>"
    return f'<div class="scroll matrix" tabindex="0"><table><tbody>{top}{"".join(rows)}</tbody></table></div>'
