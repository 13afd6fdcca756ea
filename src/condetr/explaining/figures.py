"""An explanation as one figure, laid out as the paper's figures 1 and 4: parts are rows, heads are columns."""

import io
import warnings
from math import ceil
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from ..decoding import MAX_DETECTIONS
from ..images.prepare import resize
from ..plural import percent
from ..reports.elements import visible
from .attention_maps import Part
from .explanation import Explanation
from .extremities import REGIONS
from .panels import Panel, Pixels, heatmap

PANEL = 240  # pixels of a panel's longer side
NARROWEST = 40  # pixels of its shorter side, at least: a narrower image is stretched
NEARLY_UNIFORM = 1.5  # times the uniform attention: below, the place of the highest cell means little
MOST_HEADS = 16  # columns; more would be too small to see
BACKGROUND, TEXT, MUTED = "#ffffff", "#111111", "#666666"
MEANING = {"spatial": "p$_q$·p$_k$ alone", "content": "c$_q$·c$_k$ alone", "combined": "what the layer uses"}
FIRST_CONTENT = "c$_q$·c$_k$ alone; in the first layer they include the object query and the key's position"
EARLIER = "#ffd34d"  # color of the boxes of earlier layers
GAP, TOP, SMALLEST_WIDTH = 8, 78, 700  # pixels between panels, above them, and of the figure
COLUMN = 160  # pixels from one column to the next, at least
LONGEST_NAME = 40  # characters of a class name that are shown


def png(explanation: Explanation) -> bytes:
    """The figure as a PNG file."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a class name in a script that the font lacks
        figure(explanation).savefig(stream, format="png", facecolor=BACKGROUND)
    return stream.getvalue()


def figure(explanation: Explanation) -> Figure:
    """The image with the box after each layer, and next to it the maps of every head over the image.

    One canvas of pixels with lines and text over it in the same coordinates, because fifty subplots take seconds.
    """
    one = explanation
    parts, heads = len(one.parts), min(one.maps.shape[1], MOST_HEADS)
    high, wide = one.image.shape[:2]
    small = resize(one.image, _within(wide, high, PANEL, NARROWEST))
    large = resize(one.image, _within(wide, high, 2 * PANEL, 2 * NARROWEST))
    title, subtitle = f"{_short(one.name)} {one.score:.2f}", _subtitle(one)
    legend, meanings, captions = _legend(one), [_meaning(one, part) for part in one.parts], _captions(one, heads)
    left = 5 * GAP + max(large.shape[1], *(_width(text, 8.0) for text in legend))
    column = max(small.shape[1] + GAP, COLUMN, *(_width(text, 7.0) + 2 * GAP for row in captions for text in row))
    pitch = small.shape[0] + 44
    width = max(
        left + heads * column,
        left + 88 + max(_width(text, 9.0) for text in meanings) + GAP,
        GAP + max(_width(title, 14.0), _width(subtitle, 9.0)) + GAP,
        SMALLEST_WIDTH,
    )
    height = TOP + max(parts * pitch, large.shape[0] + 24 + 16 * len(legend))
    canvas = np.full((height, width, 3), 255, np.uint8)
    drawing = Figure(figsize=(width / 100, height / 100), dpi=100)
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()

    def panel(x: int, y: int, pixels: Pixels, size: float) -> Panel:
        canvas[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
        scale = np.array([pixels.shape[1] / wide, pixels.shape[0] / high])
        added = Panel(axes, np.array([x, y]), scale, size, Rectangle((x, y), pixels.shape[1], pixels.shape[0]))
        axes.add_patch(added.clip)
        added.clip.set_visible(False)
        return added

    def write(x: float, y: float, text: str, size: float, color: str = MUTED, **more: Any) -> None:
        axes.text(x, y, text, size=size, color=color, va="center", **more)

    write(float(GAP), 18.0, title, 13.0, TEXT, weight="bold", parse_math=False)
    write(float(GAP), 40.0, subtitle, 9.0)
    whole = panel(GAP, TOP, large, 1.6)
    for layer, box in enumerate(one.layer_boxes[:-1]):
        whole.box(box, EARLIER, 0.35 + 0.5 * (layer + 1) / len(one.layer_boxes))
    whole.marks(one)
    for line, text in enumerate(legend):
        write(float(GAP), float(TOP + large.shape[0] + 18 + 16 * line), text, 8.0, parse_math=False)
    for row, part in enumerate(one.parts):
        y = TOP + row * pitch
        write(float(left), y - 10.0, part, 10.0, TEXT, weight="bold")
        write(left + 88.0, y - 10.0, meanings[row], 9.0)
        for head in range(heads):
            x = left + head * column
            panel(x, y, heatmap(small, one.maps[row, head]), 1.0).marks(one)
            write(float(x), y + small.shape[0] + 10.0, captions[row][head], 7.0)
    axes.imshow(canvas, extent=(0, width, height, 0), interpolation="none", aspect="auto", zorder=-1)
    return drawing


def _within(width: int, height: int, side: int, least: int) -> tuple[int, int]:
    scale = side / max(width, height)
    return max(least, round(width * scale)), max(least, round(height * scale))


def _width(text: str, size: float) -> int:
    """Width of a line of text in pixels. Dollar signs, which a class name may contain, are literal."""
    path = TextPath((0, 0), text.replace("$", r"\$"), size=size)
    return ceil(path.get_extents().x1 * 100 / 72)


def _short(name: str) -> str:
    name = visible(" ".join(name.split()))
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _subtitle(one: Explanation) -> str:
    words = f"query {one.query}, decoder layer {one.layer}"
    if one.point_given:
        words += f", nearest to {one.point[0]:g}, {one.point[1]:g}"
    if one.detected:
        return words
    if one.beyond:
        reason = f"it is not among the best {MAX_DETECTIONS} predictions"
    else:
        reason = "it overlaps a better one" if one.suppressed else "its score is below the threshold"
    return f"{words}; not a detection: {reason}"


def _meaning(one: Explanation, part: Part) -> str:
    """What a row shows. Only in the first layer does the content half include positions."""
    return FIRST_CONTENT if part == "content" and one.layer == 0 else MEANING[part]


def _captions(one: Explanation, heads: int) -> list[list[str]]:
    """The text under each map: the region of its peak and the fraction inside the box."""
    flat = one.maps.max((-2, -1)) < NEARLY_UNIFORM * one.maps.mean((-2, -1))
    regions = np.where(flat, "nearly uniform", np.array(REGIONS)[one.peak_regions])
    return [
        [f"head {head}: {region[head]} · {percent(inside[head])} in the box" for head in range(heads)]
        for region, inside in zip(regions.tolist(), one.inside.tolist())
    ]


def _legend(one: Explanation) -> list[str]:
    """What the marks mean, and the prediction after each layer."""
    layers = [
        f"after layer {number}: {_short(one.layer_names[number])} {score:.2f}"
        for number, score in enumerate(one.layer_scores)
    ]
    return [
        *(["× the given point"] if one.point_given else []),
        *(["+ reference point"] if "spatial" in one.parts else []),
        "○ extremities",
        "dashed: the boxes of earlier layers",
        *layers,
    ]
