"""An evaluation as tables for a terminal."""

import math

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..metrics import ClassMetrics
from .evaluation import Evaluation


def tables(evaluation: Evaluation) -> RenderableType:
    """The warnings, a title, the twelve numbers and the classes."""
    metrics = evaluation.metrics
    numbers = list(evaluation.numbers.items())
    low, high = metrics.bootstrap.ap.low, metrics.bootstrap.ap.high
    title = f"{evaluation.name} on {evaluation.data.name} {evaluation.split.name}: {metrics.images:,} images, "
    title += f"{metrics.objects:,} objects; AP {evaluation.ap:.3f} ({low:.3f} – {high:.3f})"
    warnings = [Text(f"warning: {warning}", style="yellow") for warning in evaluation.warnings]
    return Group(
        *warnings,
        Text(title, style="bold"),
        number_table(dict(numbers[:6])),
        number_table(dict(numbers[6:])),
        class_table(evaluation.classes),
    )


def number_table(numbers: dict[str, float]) -> Table:
    """One row; COCO's -1, for no object, is a dash."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in numbers:
        table.add_column(name, justify="right", min_width=5)
    table.add_row(*(_shown(value if value >= 0 else math.nan) for value in numbers.values()))
    return table


def class_table(classes: tuple[ClassMetrics, ...]) -> Table:
    """A row per class; precision and recall are those at the class's best threshold."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("class", overflow="ellipsis", no_wrap=True)
    for name in ("objects", "AP", "AP50", "AP75", "AR", "threshold", "precision", "recall"):
        table.add_column(name, justify="right", min_width=5)
    for one in classes:
        numbers = (one.ap, one.ap50, one.ap75, one.ar, one.best.threshold, one.best.precision, one.best.recall)
        table.add_row(Text(one.name), f"{one.objects:,}", *map(_shown, numbers))
    return table


def _shown(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"
