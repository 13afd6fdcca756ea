"""Text and tables for a terminal: control characters in names are escaped, and a narrow terminal gets fewer columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import SIMPLE_HEAD, Box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

ASCII = {"≥": ">=", "≤": "<=", "±": "+-", "×": "x", "–": "-", "—": "-", "…": "...", "→": "->", "█": "#", "▏": "|"}
ASCII_HEAD = Box("    \n    \n -- \n" + 5 * "    \n", ascii=True)  # SIMPLE_HEAD for a terminal that is not UTF-8
GAP = 2  # spaces between two columns
NARROWEST = {"name": 12, "text": 24}  # below this, a column is dropped before a name or a text is shortened further
LEAST = 4  # what a name is shortened to when nothing is left to drop


def redraws(console: Console) -> bool:
    """Whether lines that are shown can be replaced: in a terminal, but not with TERM=dumb (that of an editor), where
    rich would show a live table or a bar only at its end."""
    return console.is_terminal and not console.is_dumb_terminal


def printable(text: str) -> str:
    """Text that a terminal shows without obeying it: control characters, escape sequences, bidirectional overrides
    and lone surrogates come out as visible escapes (`\\x1b`, `\\u202e`, `\\udcff`)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def encoded(text: str, encoding: str) -> str:
    """The text as a terminal of another encoding than UTF-8 shows it: our own symbols in ASCII, and escapes for the
    characters that it does not have (`\\u72d7`)."""
    text = "".join(ASCII.get(c, c) for c in text)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def shortened(text: str, width: int, mark: str = "…") -> str:
    """At most `width` terminal cells of a name: its middle is left out, as its beginning and end distinguish names."""
    if cell_len(text) <= width:
        return text
    room = width - len(mark)
    end, cells = "", 0
    for c in reversed(text):
        cells += cell_len(c)
        if cells > room // 3:
            break
        end = c + end
    return set_cell_size(text, room - cell_len(end)).rstrip() + mark + end


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a `FittedTable`.

    `drop` is the order in which columns leave a narrow terminal: the highest first, equal ones together, 0 never.
    Numbers (right-aligned) and words are always whole; a name is shortened in its middle; a text is wrapped.
    """

    title: str
    drop: int = 0
    kind: Literal["number", "word", "name", "text"] = "number"
    style: str = ""


class FittedTable:
    """A table that drops columns where the terminal is too narrow for all, and names them below it.

    An empty line comes first, then the title, if there is one.
    A cell that is a string goes through `printable`; a `Text` is shown as it is.
    """

    def __init__(self, *columns: Column, header: bool = True, title: str = "") -> None:
        self.columns, self.header, self.title = columns, header, title
        self.rows: list[tuple[Sequence[Text], str]] = []

    def add_row(self, *cells: str | Text, style: str = "") -> None:
        texts = [cell if isinstance(cell, Text) else Text(printable(cell)) for cell in cells]
        assert len(texts) == len(self.columns)
        self.rows.append((texts, style))

    @property
    def row_count(self) -> int:
        return len(self.rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        own = [[self._cell(text, options) for text in texts] for texts, _ in self.rows]
        titles = [self._cell(Text(column.title), options) for column in self.columns]
        widths = [max(map(_width, cells)) for cells in zip(titles, *own)]
        kept = self._fitting(widths, options.max_width)
        spare = options.max_width - _total([widths[i] for i in kept])
        for i in sorted(kept, key=lambda i: -widths[i]):  # the widest names and texts make room
            if spare < 0 and self.columns[i].kind in NARROWEST:
                width = max(LEAST, widths[i] + spare)
                spare, widths[i] = spare + widths[i] - width, width
        box, mark = (ASCII_HEAD, ASCII["…"]) if options.ascii_only else (SIMPLE_HEAD, "…")
        table = Table(box=box, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), show_header=self.header)
        for i in kept:
            column = self.columns[i]
            width = min(widths[i], options.max_width)  # one that is wider than the terminal is folded
            table.add_column(
                titles[i], justify="right" if column.kind == "number" else "left", style=column.style,
                no_wrap=column.kind != "text" and width == widths[i], overflow="fold", width=width,
            )  # fmt: skip
        for cells, (_, style) in zip(own, self.rows):
            table.add_row(*(self._fitted(cells[i], i, widths[i], mark) for i in kept), style=style)
        yield Text()
        if self.title:
            yield self._cell(Text(printable(self.title), style="bold"), options)
        yield table
        if len(kept) < len(self.columns):
            missing = (titles[i].plain for i in range(len(self.columns)) if i not in kept)
            if named := ", ".join(title for title in missing if title):
                yield Text(f"too narrow for: {named}", style="dim", overflow="fold")

    def _cell(self, text: Text, options: ConsoleOptions) -> Text:
        return Text(encoded(text.plain, options.encoding), style=text.style) if options.ascii_only else text

    def _fitted(self, text: Text, column: int, width: int, mark: str) -> Text:
        if self.columns[column].kind != "name":
            return text
        return Text(shortened(text.plain, width, mark), style=text.style)

    def _fitting(self, widths: Sequence[int], room: int) -> list[int]:
        """The columns that fit, where names and texts may shrink as far as they stay readable.

        If those with `drop` 0 do not fit either, the first of them stay, with names of `LEAST`: a number is never cut.
        """
        kinds = [column.kind for column in self.columns]
        least = [min(width, NARROWEST.get(kind, width)) for width, kind in zip(widths, kinds)]
        kept = list(range(len(self.columns)))
        for order in sorted({column.drop for column in self.columns if column.drop}, reverse=True):
            if _total([least[i] for i in kept]) <= room:
                return kept
            kept = [i for i in kept if self.columns[i].drop != order]
        least = [min(width, LEAST) if kind in NARROWEST else width for width, kind in zip(widths, kinds)]
        while len(kept) > 1 and _total([least[i] for i in kept]) > room:
            kept.pop()
        return kept


def _width(text: Text) -> int:
    return max((cell_len(line) for line in text.plain.split("\n")), default=0)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
