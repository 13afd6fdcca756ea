"""Sortable HTML tables of text and numbers."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .elements import escape, figcaption


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `bar` draws each number as a bar, too; `optional` hides the column on a narrow screen."""

    title: str
    bar: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """A cell with a name and a tag after it, in the color of `tone` (error, warning, note). With `key`, the name is a
    button with this `data-key`, for a script."""

    text: str
    tag: str = ""
    key: str = ""
    tone: str = ""


LONG = 24  # characters: a column with a longer text is not squeezed to a word in each line
LEAST = 0.0005  # a column of smaller numbers, all shown as 0.000, has no bars
Cell = str | int | float | Name | None


def table(headers: Sequence[str | Column], rows: Iterable[Sequence[Cell]], caption: str = "") -> str:
    """A table whose headers are buttons that sort it. None and NaN are shown as a dash."""
    columns = [one if isinstance(one, Column) else Column(one) for one in headers]
    rows = [list(row) for row in rows]
    numeric = [
        all(row[i] is None or isinstance(row[i], int | float) for row in rows) and bool(rows)
        for i in range(len(columns))
    ]
    long = [any(len(text) > LONG for row in rows if isinstance(text := row[i], str)) for i in range(len(columns))]
    sort_keys = [_sort_key([row[i] for row in rows]) for i in range(len(columns))]
    largest = [max((_size(row[i]) for row in rows), default=0.0) for i in range(len(columns))]

    def cell(i: int, value: Cell) -> str:
        bar = f' style="--part:{_size(value) / largest[i]:.3f}"' if columns[i].bar and largest[i] >= LEAST else ""
        return f"<td{_class(columns[i], numeric[i], long[i])}{sort_keys[i](value)}{bar}>{_content(value)}</td>"

    head = "".join(
        f'<th scope="col"{_class(one, n)}><button type="button">{escape(one.title)}</button></th>'
        for one, n in zip(columns, numeric, strict=True)
    )
    body = "".join(f"<tr>{''.join(cell(i, value) for i, value in enumerate(row))}</tr>" for row in rows)
    element = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<figure><div class="scroll" tabindex="0">{element}</div>{figcaption(caption)}</figure>'


def shown(value: Cell) -> str:
    """A cell's text: three decimals below a thousand, separators of thousands, a dash for what is undefined."""
    if isinstance(value, Name):
        return value.text
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _content(value: Cell) -> str:
    text = escape(shown(value))
    if not isinstance(value, Name):
        return text
    tone = f" {escape(value.tone)}" if value.tone else ""
    tag = f' <em class="tag{tone}">{escape(value.tag)}</em>' if value.tag else ""
    return (f'<button type="button" data-key="{escape(value.key)}">{text}</button>' if value.key else text) + tag


def _class(column: Column, numeric: bool, long: bool = False) -> str:
    which = {"number": numeric, "bar": column.bar, "wide": column.optional, "long": long}
    names = [name for name, holds in which.items() if holds]
    return f' class="{" ".join(names)}"' if names else ""


def _size(value: Cell) -> float:
    """The length of a number's bar."""
    return max(0.0, float(value)) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _sort_key(cells: Sequence[Cell]) -> Callable[[Cell], str]:
    """The sort key of a column as an attribute of each cell: the cell's number, or the number its text begins with if
    that is so for all cells, or otherwise none, which sorts the column as text."""
    leading = all(_leading(cell) is not None for cell in cells if cell not in (None, "–", ""))

    def key(cell: Cell) -> str:
        value = _leading(cell) if leading or not isinstance(cell, str) else None
        return "" if value is None else f' data-key="{value!r}"'

    return key


def _leading(cell: Cell) -> int | float | None:
    """The number that a cell begins with: 12 for `12 (10 … 15)`, 0.3 for `+0.3 %`, None for `2nd`."""
    if isinstance(cell, str):
        found = re.match(r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?(?=[ %(]|$)", cell)
        cell = float(found[0].replace(",", "")) if found else None
    if cell is None or isinstance(cell, Name) or not math.isfinite(cell):
        return None
    return int(cell) if isinstance(cell, int) else float(cell)  # bool and NumPy's numbers have other reprs
