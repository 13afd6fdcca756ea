"""A report as one self-contained HTML file: styles, data and images are inside, and it loads nothing."""

import base64
import html
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ..files import write_text
from ..shapes import UInt8
from .charts import markup

Pixels = UInt8[np.ndarray, "H W 3"]
Cell = str | int | float | None

FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
LONGEST_SIDE = 1280  # pixels of a stored image: enough for a screen, small enough for an email


class Page:
    """Build a page from top to bottom, then `save` it. All text is escaped; only `raw` and `script` are trusted."""

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title, self.subtitle = title, subtitle
        self._body: list[str] = []
        self._contents: list[tuple[str, str]] = []
        self._scripts: list[str] = []

    def heading(self, text: str) -> None:
        """Start a section, which is listed in the page's contents."""
        anchor = f"section-{len(self._contents) + 1}"
        self._contents.append((anchor, text))
        self._body.append(f'<h2 id="{anchor}">{_escape(text)}</h2>')

    def text(self, paragraph: str) -> None:
        self._body.append(f"<p>{_escape(paragraph)}</p>")

    def numbers(self, tiles: Sequence[tuple[str, Cell] | tuple[str, Cell, str]]) -> None:
        """Tiles with the main numbers: (label, value) or (label, value, note)."""
        parts = []
        for label, value, *note in tiles:
            small = f"<small>{_escape(note[0])}</small>" if note else ""
            parts.append(f"<div><span>{_escape(label)}</span><b>{_escape(_shown(value))}</b>{small}</div>")
        self._body.append(f'<div class="tiles">{"".join(parts)}</div>')

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[Cell]], caption: str = "") -> None:
        """A table of text and numbers; a click on a header sorts it. None and NaN are shown as a dash."""
        rows = [list(row) for row in rows]
        numeric = [
            all(row[i] is None or isinstance(row[i], int | float) for row in rows) and bool(rows)
            for i in range(len(headers))
        ]
        keys = [_column_key([row[i] for row in rows]) for i in range(len(headers))]
        head = "".join(f"<th{_number(n)}>{_escape(h)}</th>" for h, n in zip(headers, numeric, strict=True))
        body = "".join(
            "<tr>"
            + "".join(f"<td{_number(n)}{key(c)}>{_escape(_shown(c))}</td>" for c, n, key in zip(row, numeric, keys))
            + "</tr>"
            for row in rows
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        self._body.append(f'<figure><div class="scroll">{table}</div>{_figcaption(caption)}</figure>')

    def figure(self, figure: Figure, caption: str = "") -> None:
        """A matplotlib figure as inline SVG, or as PNG when it is very large. The figure is modified: see `charts`."""
        self._body.append(f'<figure class="chart">{visible(markup(figure))}{_figcaption(caption)}</figure>')

    def image(self, image: Pixels, caption: str = "") -> None:
        """An image, encoded at once; a click enlarges it."""
        self._body.append(_image_html(image, caption))

    def gallery(self, images: Iterable[tuple[Pixels, str]]) -> None:
        """Images side by side; a click enlarges one. Each is encoded before the next is taken from the iterable, so
        that a generator never has to hold all of them."""
        self._body.append(f'<div class="gallery">{"".join(_image_html(*one) for one in images)}</div>')

    def raw(self, markup: str) -> None:
        """HTML, unchanged. The caller escapes text that is not its own (`html.escape`)."""
        self._body.append(markup)

    def data(self, name: str, value: Any) -> None:
        """JSON for a script of the page: `JSON.parse(document.getElementById(name).textContent)`. NaN becomes null."""
        content = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))
        self._body.append(f'<script type="application/json" id="{_escape(name)}">{_inside_script(content)}</script>')

    def script(self, source: str) -> None:
        """JavaScript of this package, run after the page is complete."""
        self._scripts.append(source)

    def html(self) -> str:
        links = "".join(f'<a href="#{anchor}">{_escape(text)}</a>' for anchor, text in self._contents)
        contents = f"<nav>{links}</nav>" if len(self._contents) > 1 else ""
        subtitle = f'<p class="subtitle">{_escape(self.subtitle)}</p>' if self.subtitle else ""
        sources = (source.replace("</", "<\\/") for source in (_file("page.js"), *self._scripts))
        scripts = "".join(f"<script>{source}</script>" for source in sources)
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<link rel="icon" href="data:,"><title>{_escape(self.title)}</title>'
            f"<style>{_file('page.css')}</style></head><body>"
            f"<header><h1>{_escape(self.title)}</h1>{subtitle}{contents}</header>"
            f"<main>{''.join(self._body)}</main><dialog></dialog>{scripts}</body></html>\n"
        )

    def save(self, path: Path) -> None:
        write_text(path, self.html())


def _file(name: str) -> str:
    return (resources.files("condetr.reports") / name).read_text(encoding="utf-8")


def _image_html(pixels: Pixels, caption: str) -> str:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    if max(image.size) <= 256:
        image.save(stream, "png")
        kind = "png"
    else:
        image.save(stream, "jpeg", quality=87, subsampling=0)  # full color: thin colored lines stay sharp
        kind = "jpeg"
    source = _data_uri(kind, stream.getvalue())
    return f'<figure class="image"><img alt="{_escape(caption)}" src="{source}">{_figcaption(caption)}</figure>'


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _escape(text: str) -> str:
    """Text for element content and quoted attributes."""
    return html.escape(visible(text), quote=True)


def visible(text: str) -> str:
    """Replace characters that HTML forbids or that reorder other text (bidirectional overrides) by a visible mark."""
    return FORBIDDEN.sub("\ufffd", text)


def _shown(value: Cell) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _number(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _column_key(cells: Sequence[Cell]) -> Callable[[Cell], str]:
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
    if cell is None or not math.isfinite(cell):
        return None
    return int(cell) if isinstance(cell, int) else float(cell)  # bool and NumPy's numbers have other reprs


def _figcaption(text: str) -> str:
    return f"<figcaption>{_escape(text)}</figcaption>" if text else ""


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _finite(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _inside_script(content: str) -> str:
    """JSON that cannot end its script element or open a comment in it."""
    return content.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
