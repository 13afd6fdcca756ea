"""Boxes over an image of a page, as SVG in layers that the reader can switch off; their labels are placed by the page
for the size at which the image is shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .colors import Color, ink_on
from .elements import Pixels, escape, figcaption, image_source

LABELS = "labels"  # the key of the switch for all labels


@dataclass(frozen=True, slots=True)
class Layer:
    """Boxes that are switched together, under `name` in the legend, where they have this color and line.

    `key` identifies the layer in the page: letters, digits and dashes. `shown` is its state when the page opens.
    """

    key: str
    name: str
    color: Color
    dashed: bool = False
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """A box (xyxy in pixels of the image) of a layer. Its color is the layer's, unless it has its own.

    `caption` is the label; `note` is what is shown in addition when the reader points at the box.
    """

    box: tuple[float, float, float, float]
    caption: str
    layer: Layer
    note: str = ""
    color: Color | None = None


@dataclass(frozen=True, slots=True)
class MarkedImage:
    """An image and its boxes, those whose labels matter most first."""

    pixels: Pixels
    marks: Sequence[Mark]
    caption: str


def legend(layers: Sequence[Layer]) -> str:
    """Switches for the layers, which are the legend too, and for all labels."""
    rows = [_switch(layer.key, layer.name, layer.shown, _swatch(layer)) for layer in layers]
    rows.append(_switch(LABELS, "labels", True, ""))
    rows.append("<span>Point at a box to see its label; click an image to enlarge it.</span>")
    return f'<fieldset class="layers"><legend>Show</legend>{"".join(rows)}</fieldset>'


def marked_image(image: MarkedImage) -> str:
    """The figure of an image with its boxes. A click or Enter enlarges it."""
    height, width = image.pixels.shape[:2]
    order = sorted(range(len(image.marks)), key=lambda i: -_area(image.marks[i]))  # small boxes on top of large ones
    boxes = "".join(_box(image.marks[i], i) for i in order if np.isfinite(image.marks[i].box).all())
    return (
        f'<figure class="image"><div class="stage" role="button" tabindex="0" style="--ratio:{width / height:.4f}" '
        f'aria-label="{escape("Enlarge " + image.caption)}">'
        f'<img alt="{escape(image.caption)}" width="{width}" height="{height}" src="{image_source(image.pixels)}">'
        f'<svg class="overlay" viewBox="0 0 {width} {height}" preserveAspectRatio="none">{boxes}</svg>'
        f"</div>{figcaption(image.caption)}</figure>"
    )


def _box(mark: Mark, rank: int) -> str:
    """The rectangle of a mark; `rank` is its place in the order of labels."""
    x1, y1, x2, y2 = mark.box
    color = mark.color or mark.layer.color
    dashed = ' class="dashed"' if mark.layer.dashed else ""
    hidden = "" if mark.layer.shown else ' hidden=""'
    title = escape(f"{mark.caption}: {mark.note}" if mark.note else mark.caption)
    return (
        f'<rect x="{min(x1, x2):.1f}" y="{min(y1, y2):.1f}" width="{abs(x2 - x1):.1f}" height="{abs(y2 - y1):.1f}" '
        f'stroke="{_hex(color)}" data-ink="{_hex(ink_on(color))}" data-layer="{escape(mark.layer.key)}" '
        f'data-rank="{rank}" data-caption="{escape(mark.caption)}"{dashed}{hidden}><title>{title}</title></rect>'
    )


def _switch(key: str, name: str, shown: bool, swatch: str) -> str:
    checked = " checked" if shown else ""
    return f'<label><input type="checkbox" data-switch="{escape(key)}"{checked}>{swatch}{escape(name)}</label>'


def _swatch(layer: Layer) -> str:
    dashed = ' class="dashed"' if layer.dashed else ""
    rect = f'<rect x="2" y="2" width="18" height="12" stroke="{_hex(layer.color)}"{dashed}/>'
    return f'<svg class="overlay" viewBox="0 0 22 16" aria-hidden="true">{rect}</svg>'


def _area(mark: Mark) -> float:
    x1, y1, x2, y2 = mark.box
    area = abs((x2 - x1) * (y2 - y1))
    return area if np.isfinite(area) else 0.0


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
