"""An evaluation as tables for a terminal."""

import math
from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.text import Text

from ..metrics import ClassMetrics
from ..metrics.coco import Unlimited
from ..plural import counted
from ..reports.terminal import Column, FittedTable, printable
from .results import NOTHING_LEARNED, Results


def tables(evaluation: Results, as_typed: Callable[[str], str] = str) -> RenderableType:
    """The warnings, a title, the twelve numbers and the classes. `as_typed` writes arguments in warnings as flags."""
    metrics = evaluation.metrics
    numbers = list(evaluation.numbers.items())
    low, high = metrics.bootstrap.ap.low, metrics.bootstrap.ap.high
    title = f"{evaluation.subject}, {evaluation.split.name}: {counted(metrics.images, 'image')}, "
    title += f"{counted(metrics.objects, 'object')}; AP {evaluation.ap:.3f} ({low:.3f} – {high:.3f})"
    warnings = [Text(printable(as_typed(f"warning: {warning}")), style="yellow") for warning in evaluation.warnings]
    nothing = [Text(NOTHING_LEARNED, style="yellow")] if evaluation.nothing_learned else []
    return Group(
        *warnings,
        Text(printable(title), style="bold"),
        *nothing,
        number_table(dict(numbers[:6])),
        number_table(dict(numbers[6:])),
        *_unlimited(metrics.unlimited),
        class_table(evaluation.classes),
    )


def _unlimited(numbers: Unlimited | None) -> list[RenderableType]:
    if numbers is None:
        return []
    title = f"without COCO's limit of 100 detections of an image and class (there are up to {numbers.detections:,}):"
    return [Text(title), number_table(numbers.named())]


def number_table(numbers: dict[str, float]) -> FittedTable:
    """One row; COCO's -1, for no object, is a dash."""
    table = FittedTable(*(Column(name, drop=place) for place, name in enumerate(numbers)))  # the last leave first
    table.add_row(*(_shown(value if value >= 0 else math.nan) for value in numbers.values()))
    return table


def class_table(classes: tuple[ClassMetrics, ...]) -> FittedTable:
    """A row per class; precision and recall are those at the class's best threshold."""
    table = FittedTable(
        Column("class", kind="name"), Column("objects", drop=2), Column("AP"), Column("AP50", drop=1),
        Column("AP75", drop=4), Column("AR", drop=5), Column("threshold", drop=3), Column("precision", drop=6),
        Column("recall", drop=6),
    )  # fmt: skip
    for one in classes:
        numbers = (one.ap, one.ap50, one.ap75, one.ar, one.best.threshold, one.best.precision, one.best.recall)
        table.add_row(one.name, f"{one.objects:,}", *map(_shown, numbers))
    return table


def _shown(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"
