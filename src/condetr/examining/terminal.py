"""A diagnosis as a terminal shows it: tables of splits, classes and defects, and one line that sums them up."""

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..datasets.defects import DEFECTS, Finding, grouped
from .diagnosis import Diagnosis

MOST_CLASSES = 30
_STYLE = {"error": "bold red", "warning": "yellow", "note": "dim"}


def shown(diagnosis: Diagnosis) -> RenderableType:
    """The tables. File and class names are shown literally, never as markup."""
    data = diagnosis.dataset
    parts: list[RenderableType] = [Text(f"{data.root}: {data.format}, {len(data.categories.real)} classes"), Text()]
    parts += [_splits(diagnosis), Text(), *_classes(diagnosis), Text()]
    if diagnosis.findings:
        parts.append(_defects(diagnosis))
    else:
        parts += [Text("no defects", style="green"), Text()]
    parts.append(Text(diagnosis.summary, style="green" if diagnosis.refusal is None else "bold red"))
    return Group(*parts)


def _splits(diagnosis: Diagnosis) -> Table:
    table = _table("split", "images", "used", "empty", "objects", "used", "small", "medium", "large")
    sizes = diagnosis.size_histogram()
    for count in diagnosis.counts:
        numbers = (count.images, count.used_images, count.without_objects, count.objects, count.used_objects)
        table.add_row(count.split, *(f"{n:,}" for n in (*numbers, *sizes.get(count.split, (0, 0, 0)))))
    return table


def _classes(diagnosis: Diagnosis) -> list[RenderableType]:
    categories, histogram = diagnosis.dataset.categories, diagnosis.class_histogram()
    total = sum(histogram.values(), start=np.zeros(len(categories), np.int64))
    order = sorted(categories.real, key=lambda label: -total[label])
    table = _table("class", *histogram, "", text_from=1 + len(histogram))
    for label in order[:MOST_CLASSES]:
        bar = "█" * round(30 * total[label] / max(1, total.max())) or "▏"
        name = Text(categories.name(label), overflow="ellipsis", no_wrap=True)
        table.add_row(name, *(f"{counts[label]:,}" for counts in histogram.values()), Text(bar, style="blue"))
    if len(order) <= MOST_CLASSES:
        return [table]
    return [table, Text(f"and {len(order) - MOST_CLASSES} classes with fewer objects", style="dim")]


def _defects(diagnosis: Diagnosis) -> Table:
    table = Table("count", "defect", "action", "meaning, and the first place", box=box.SIMPLE_HEAD)
    table.columns[0].justify = "right"
    for name, found in grouped(diagnosis.findings):
        text = Text(DEFECTS[name].meaning, overflow="fold").append(f"\n{_place(found[0])}", style="dim")
        title = Text(name, style=_STYLE[DEFECTS[name].severity], no_wrap=True)
        table.add_row(f"{len(found):,}", title, DEFECTS[name].action, text)
    return table


def _place(finding: Finding) -> str:
    """Place and detail of a finding: `train/a.jpg #7: box 1 2 1 2`."""
    where = "/".join(part for part in (finding.split, finding.file) if part)
    where += f" #{finding.id}" if finding.id is not None else ""
    return ": ".join(part for part in (where, finding.detail) if part)


def _table(*headers: str, text_from: int | None = None) -> Table:
    """A table whose columns after the first are numbers, up to the column `text_from`."""
    table = Table(*headers, box=box.SIMPLE_HEAD)
    for i, column in enumerate(table.columns):
        column.justify = "left" if i == 0 or (text_from is not None and i >= text_from) else "right"
    return table
