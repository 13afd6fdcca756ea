"""The doctor as a verb: looks a data set over and tells it three ways, to a person at a terminal, to a machine, and as
a page with the worst images drawn."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..datasets.defects import DEFECTS, Finding, grouped
from ..datasets.open import RawDataSet, open_dataset
from ..files import write_text
from .diagnosis import Diagnosis, examine
from .inspection import Look, Progress, cache_folder, decode, header
from .page import page

__all__ = ["as_json", "decode", "doctor", "header", "shown", "write"]

MOST_CLASSES = 30
_STYLE = {"error": "bold red", "warning": "yellow", "note": "dim"}


def doctor(
    data: Path, queries: int, look: Look = decode, progress: Progress | None = None
) -> tuple[RawDataSet, Diagnosis]:
    """Read and examine a data set; `look` is `decode`, or `header` to trust the images' pixels. Raises DataError."""
    raw = open_dataset(data)
    return raw, examine(raw, queries, look, cache_folder(), progress)


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """All of it as plain values. Keys stay as they are from one release to the next; new ones may come."""
    data = diagnosis.dataset
    histogram, sizes = diagnosis.class_histogram(), diagnosis.size_histogram()
    return {
        "root": str(data.root),
        "format": data.format,
        "trainable": diagnosis.refusal is None,
        "refusal": diagnosis.refusal,
        "splits": [
            {
                "name": count.split,
                "images": count.images,
                "used_images": count.used_images,
                "images_without_objects": count.without_objects,
                "objects": count.objects,
                "used_objects": count.used_objects,
                "crowds": count.crowds,
                "sizes": dict(zip(("small", "medium", "large"), sizes.get(count.split, (0, 0, 0)))),
            }
            for count in diagnosis.counts
        ],
        "classes": [
            {
                "label": label,
                "category_id": data.categories.ids[label],
                "name": data.categories.name(label),
                "objects": {split: int(counts[label]) for split, counts in histogram.items()},
            }
            for label in data.categories.real
        ],
        "defects": [
            {
                "name": name,
                "severity": DEFECTS[name].severity,
                "action": DEFECTS[name].action,
                "meaning": DEFECTS[name].meaning,
                "remedy": DEFECTS[name].remedy,
                "count": len(found),
                "found": [{"split": f.split, "file": f.file, "id": f.id, "detail": f.detail} for f in found],
            }
            for name, found in grouped(diagnosis.findings)
        ],
    }


def shown(diagnosis: Diagnosis) -> RenderableType:
    """What a terminal shows. File and class names are shown as they are, never as markup."""
    data = diagnosis.dataset
    parts: list[RenderableType] = [Text(f"{data.root}: {data.format}, {len(data.categories.real)} classes"), Text()]
    splits = _table("split", "images", "used", "empty", "objects", "used", "small", "medium", "large")
    sizes = diagnosis.size_histogram()
    for count in diagnosis.counts:
        numbers = (count.images, count.used_images, count.without_objects, count.objects, count.used_objects)
        splits.add_row(count.split, *(f"{n:,}" for n in (*numbers, *sizes.get(count.split, (0, 0, 0)))))
    parts += [splits, Text()]
    histogram = diagnosis.class_histogram()
    total = sum(histogram.values(), start=np.zeros(len(data.categories), np.int64))
    order = sorted(data.categories.real, key=lambda label: -total[label])
    classes = _table("class", *histogram, "", left=2 + len(histogram))
    for label in order[:MOST_CLASSES]:
        bar = "█" * round(30 * total[label] / max(1, total.max())) or "▏"
        word = Text(data.categories.name(label), overflow="ellipsis", no_wrap=True)
        classes.add_row(word, *(f"{counts[label]:,}" for counts in histogram.values()), Text(bar, style="blue"))
    parts += [classes]
    if len(order) > MOST_CLASSES:
        parts.append(Text(f"and {len(order) - MOST_CLASSES} classes with fewer", style="dim"))
    parts.append(Text())
    if diagnosis.findings:
        defects = Table("count", "defect", "action", "what it is, and the first place", box=box.SIMPLE_HEAD)
        defects.columns[0].justify = "right"
        for name, found in grouped(diagnosis.findings):
            text = Text(DEFECTS[name].meaning, overflow="fold").append(f"\n{_place(found[0])}", style="dim")
            title = Text(name, style=_STYLE[DEFECTS[name].severity], no_wrap=True)
            defects.add_row(f"{len(found):,}", title, DEFECTS[name].action, text)
        parts.append(defects)
    else:
        parts += [Text("no defects", style="green"), Text()]
    style = "green" if diagnosis.refusal is None else "bold red"
    parts.append(Text(diagnosis.verdict, style=style))
    return Group(*parts)


def write(folder: Path, raw: RawDataSet, diagnosis: Diagnosis) -> Path:
    """Write `doctor.html` and `doctor.json`; the answer is the page's path. Raises CondetrError when it cannot."""
    write_text(folder / "doctor.json", json.dumps(as_json(diagnosis), indent=1, ensure_ascii=True) + "\n")
    page(raw, diagnosis).save(folder / "doctor.html")
    return folder / "doctor.html"


def _place(finding: Finding) -> str:
    """Where and what, in a few words: `train/a.jpg #7: box 1 2 1 2`."""
    where = "/".join(part for part in (finding.split, finding.file) if part)
    where += f" #{finding.id}" if finding.id is not None else ""
    return ": ".join(part for part in (where, finding.detail) if part)


def _table(*headers: str, left: int = 1) -> Table:
    """Columns of numbers after the first; from the column `left` on, text again."""
    table = Table(*headers, box=box.SIMPLE_HEAD)
    for i, column in enumerate(table.columns):
        column.justify = "left" if i == 0 or (left > 1 and i >= left - 1) else "right"
    return table
