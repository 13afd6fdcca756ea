"""A report as one self-contained HTML file: styles, data and images are inside, and it loads nothing."""

import json
import math
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..files import write_text
from .charts import markup
from .elements import escape, figcaption, visible, with_code
from .overlay import Layer, MarkedImage, legend, marked_image
from .tables import Cell, Column, shown, table

POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
LEAST = 54  # CSS pixels per inch of a figure, at least, so that its text stays readable: below, the figure scrolls
MOST = 135  # at most, so that the text of a small figure does not become larger than the page's


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
        self._body.append(f'<h2 id="{anchor}">{escape(text)}</h2>')

    def text(self, paragraph: str) -> None:
        """A paragraph; parts in backticks become code."""
        self._body.append(f"<p>{with_code(paragraph)}</p>")

    def numbers(self, tiles: Sequence[tuple[str, Cell] | tuple[str, Cell, str]]) -> None:
        """Tiles with the main numbers: (label, value) or (label, value, note)."""
        parts = []
        for label, value, *note in tiles:
            small = f"<small>{escape(note[0])}</small>" if note else ""
            parts.append(f"<div><span>{escape(label)}</span><b>{escape(shown(value))}</b>{small}</div>")
        self._body.append(f'<div class="tiles">{"".join(parts)}</div>')

    def table(self, headers: Sequence[str | Column], rows: Iterable[Sequence[Cell]], caption: str = "") -> None:
        """A table of text and numbers whose headers sort it. None and NaN are shown as a dash."""
        self._body.append(table(headers, rows, caption))

    def figure(self, figure: Figure | Sequence[Figure], caption: str = "") -> None:
        """A matplotlib figure, or several next to each other, below each other on a narrow screen. Each is inline SVG,
        or PNG when it is very large, and is modified: see `charts`."""
        several = [figure] if isinstance(figure, Figure) else figure
        parts = "".join(
            f'<div style="--least:{LEAST * width:.0f}px; --most:{MOST * width:.0f}px">{visible(markup(one))}</div>'
            for one, width in ((one, one.get_figwidth()) for one in several)
        )
        self._body.append(f'<figure class="chart"><div class="plots">{parts}</div>{figcaption(caption)}</figure>')

    def gallery(self, images: Iterable[MarkedImage], layers: Sequence[Layer]) -> None:
        """Images next to each other, with boxes over them, and switches above them for the layers of the boxes. A click
        or Enter enlarges one. Each is encoded before the next is taken from the iterable, so that a generator never has
        to hold all of them."""
        if layers:
            self._body.append(legend(layers))
        self._body.append(f'<div class="gallery">{"".join(map(marked_image, images))}</div>')

    def raw(self, markup: str) -> None:
        """HTML, unchanged. The caller escapes text that is not its own (`html.escape`)."""
        self._body.append(markup)

    def data(self, name: str, value: Any) -> None:
        """JSON for a script of the page: `JSON.parse(document.getElementById(name).textContent)`. NaN becomes null."""
        content = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))
        self._body.append(f'<script type="application/json" id="{escape(name)}">{_inside_script(content)}</script>')

    def script(self, source: str) -> None:
        """JavaScript of this package, run after the page is complete."""
        self._scripts.append(source)

    def html(self) -> str:
        links = "".join(f'<a href="#{anchor}">{escape(text)}</a>' for anchor, text in self._contents)
        contents = f"<nav>{links}</nav>" if len(self._contents) > 1 else ""
        subtitle = f'<p class="subtitle">{escape(self.subtitle)}</p>' if self.subtitle else ""
        sources = (_file("page.js"), _file("overlay.js"), *self._scripts)
        scripts = "".join("<script>{}</script>".format(source.replace("</", "<\\/")) for source in sources)
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<link rel="icon" href="data:,"><title>{escape(self.title)}</title>'
            f"<style>{_file('page.css')}{_file('overlay.css')}</style></head><body>"
            f"<header><h1>{escape(self.title)}</h1>{subtitle}{contents}</header>"
            f"<main>{''.join(self._body)}</main><dialog></dialog>{scripts}</body></html>\n"
        )

    def save(self, path: Path) -> None:
        write_text(path, self.html())


def _file(name: str) -> str:
    return (resources.files("condetr.reports") / name).read_text(encoding="utf-8")


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
