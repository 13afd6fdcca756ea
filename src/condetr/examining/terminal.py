"""A diagnosis as a terminal shows it: tables of splits, classes and defects, and one line that sums them up."""

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from ..datasets.defects import DEFECTS, grouped
from ..plural import counted
from ..reports.terminal import Column, FittedTable, printable
from .results import Results

MOST_CLASSES = 30
_STYLE = {"error": "bold red", "warning": "yellow", "note": "dim"}


def tables(diagnosis: Results) -> RenderableType:
    """The tables. File and class names are shown literally: neither as markup nor as what controls a terminal."""
    data = diagnosis.dataset
    title = f"{data.root}: {data.format_name}, {counted(len(data.categories.real), 'class')}"
    parts: list[RenderableType] = [Text(printable(title)), _splits(diagnosis), *_classes(diagnosis)]
    parts += (
        [_defects(diagnosis), Text()] if diagnosis.findings else [Text(), Text("no defects", style="green"), Text()]
    )
    style = "green" if diagnosis.refusal is None else "bold red"
    return Group(*parts, Text(printable(diagnosis.summary), style=style))


def _splits(diagnosis: Results) -> FittedTable:
    table = FittedTable(
        Column("split", kind="name"), Column("images"), Column("images used", 2), Column("empty", 3),
        Column("objects"), Column("objects used", 1), Column("small", 4), Column("medium", 4), Column("large", 4),
    )  # fmt: skip
    sizes = diagnosis.size_histogram()
    for count in diagnosis.counts:
        numbers = (count.images, count.used_images, count.without_objects, count.objects, count.used_objects)
        table.add_row(count.split, *(f"{n:,}" for n in (*numbers, *sizes.get(count.split, (0, 0, 0)))))
    return table


def _classes(diagnosis: Results) -> list[RenderableType]:
    categories, histogram = diagnosis.dataset.categories, diagnosis.class_histogram()
    total = sum(histogram.values(), start=np.zeros(len(categories), np.int64))
    order = sorted(categories.real, key=lambda label: -total[label])
    table = FittedTable(
        Column("class", kind="name"), *(Column(printable(split)) for split in histogram), Column("", 1, "word", "blue")
    )
    for label in order[:MOST_CLASSES]:
        bar = "█" * round(20 * total[label] / max(1, total.max())) or "▏"
        table.add_row(categories.name(label), *(f"{counts[label]:,}" for counts in histogram.values()), bar)
    if len(order) <= MOST_CLASSES:
        return [table]
    return [table, Text(f"and {counted(len(order) - MOST_CLASSES, 'class')} with fewer objects", style="dim")]


def _defects(diagnosis: Results) -> FittedTable:
    table = FittedTable(
        Column("count"), Column("defect", kind="word"), Column("action", 1, "word"),
        Column("meaning, and the first place", kind="text"),
    )  # fmt: skip
    for name, found in grouped(diagnosis.findings):
        place = ": ".join(part for part in (found[0].place(diagnosis.dataset.root), found[0].detail) if part)
        text = Text(DEFECTS[name].meaning).append(f"\n{printable(place)}", style="dim")
        title = Text(name, style=_STYLE[DEFECTS[name].severity])
        table.add_row(f"{len(found):,}", title, DEFECTS[name].action, text)
    return table
