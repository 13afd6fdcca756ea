"""Image records as one self-contained, interactive HTML page: select a detection, a layer and a head."""

import base64
import io
import zlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image

from ..reports.elements import LONGEST_SIDE, visible
from ..reports.page import Page
from ..reports.tables import Cell
from ..shapes import UInt8
from ..types import Categories
from .extremities import REGIONS, peak_region, shares
from .head_roles import AttentionShares
from .image_record import ImageRecord, Point, no_detection

BUDGET = 6_000_000  # bytes of maps in a page before compression: the page stays below about 5 MB
MOST_DETECTIONS = 20  # of one image
POINTS = 8  # across and down: for how many points the encoder's attention is stored

Prediction = tuple[int, int]  # a query and a label


class ExplanationPage:
    """Add image records, then save. A record is reduced at once to what the page shows, because it is large."""

    def __init__(self, images: int, categories: Categories, subtitle: str) -> None:
        self.budget, self.categories, self.subtitle = BUDGET // max(1, images), categories, subtitle
        self._images: list[dict[str, Any]] = []

    def add(self, name: str, record: ImageRecord, selected: Sequence[Prediction]) -> None:
        """Add an image with the selected predictions, then the detections by score, as the budget for maps allows."""
        found = list(dict.fromkeys([*selected, *_detections(record)]))
        rows, columns = record.grid
        each = record.layers * len(record.parts) * record.heads * rows * columns
        queries = max(1, len(selected), self.budget // each)
        most = max(len(selected), MOST_DETECTIONS)
        while len({query for query, _ in found[:most]}) > queries:  # two predictions of one query share its maps
            most -= 1
        self._images.append(_image(name, record, found[:most], len(found[most:])))

    def save(self, path: Path, layer: int, at: Point | None, shares: AttentionShares | None) -> None:
        """Write the page. It opens on the first image's best detection, or on the query nearest to `at`."""
        page = Page("Attention of the detector", self.subtitle)
        files = resources.files("condetr.explaining")
        page.raw(f"<style>{(files / 'page.css').read_text(encoding='utf-8')}</style>")
        page.raw('<div id="explain"></div><noscript>This page needs JavaScript.</noscript>')
        if shares is not None:
            page.heading("What each head attends to")
            over = f"Means over {shares.detections} detections" if shares.detections > 1 else "One detection"
            page.text(SHARES.format(over, shares.layer, shares.inside_uniform, shares.border_uniform))
            page.table(
                ["part", "head", "peak most often", "in … of them", "inside the box", "near its border"],
                _rows(shares),
            )
        page.heading("How to read this")
        for paragraph in LEGEND:
            page.text(paragraph)
        colors = matplotlib.colormaps["inferno"](np.arange(256))[:, :3] * 255
        start = {"p": 0, "d": 0, "l": layer, "m": "detection" if at is None else "why"}
        page.data(
            "explanation",
            {
                "colors": _text(colors.round().astype(np.uint8).tobytes()),
                "regions": REGIONS,
                "names": [visible(self.categories.name(label)) for label in range(len(self.categories))],
                "start": start | ({} if at is None else {"x": round(at[0]), "y": round(at[1])}),
                "images": self._images,
            },
        )
        for name in ("canvas.js", "page.js"):
            page.script((files / name).read_text(encoding="utf-8"))
        page.save(path)


SHARES = (
    "{}, decoder layer {}. A uniform map would have {:.0%} of its attention inside the box (the box's area) and {:.0%} "
    "near its border (within a tenth of its sides). The peak of a map is its brightest cell. It is inside when it lies "
    "in the middle third of the box in both directions, elsewhere when the whole cell is outside the box by more than "
    "a quarter of its side, and otherwise at the side (left, top, right, bottom) it is closest to."
)
LEGEND = (
    "Each map shows the attention of one query in one head of the decoder's cross-attention; bright cells have the "
    "most, and every map is scaled to its own maximum. The spatial part is the softmax of p_q.p_k alone, the content "
    "part that of c_q.c_k alone, and combined is the softmax of their sum, which is what the layer uses. In the first "
    "layer, c_q and c_k include the object query and the key's position, so the content part depends on positions, "
    "too. DETR has only the combined map.",
    "The white box is the prediction, its dots are the four extremities, and dashed boxes are the predictions after "
    "earlier layers. The blue cross is the query's reference point in this layer. The text below each map gives the "
    "region of its brightest cell on the object, and the fraction of the attention that lies inside the box.",
    "The address of this page changes with the selection, so that a view can be shared or bookmarked.",
)


def _rows(shares: AttentionShares) -> list[list[Cell]]:
    return [
        [part, head, shares.roles[i][head], *(f"{values[i, head]:.0%}" for values in shown)]
        for shown in [(shares.agreement, shares.inside, shares.border)]
        for i, part in enumerate(shares.parts)
        for head in range(shares.inside.shape[1])
    ]


def _detections(record: ImageRecord) -> list[Prediction]:
    return list(zip(record.detections.queries.tolist(), record.detections.labels.tolist()))


def _image(name: str, record: ImageRecord, shown: list[Prediction], left_out: int) -> dict[str, Any]:
    queries = list(dict.fromkeys(query for query, _ in shown))
    rows, columns = record.grid
    maps, measured = _maps(record, queries)
    across, down = min(POINTS, columns), min(POINTS, rows)
    return {
        "name": visible(name),
        "source": _jpeg(record.image),
        "width": record.size[0],
        "height": record.size[1],
        "rows": rows,
        "columns": columns,
        "parts": record.parts,
        "heads": record.heads,
        "layers": record.layers,
        "encoder_layers": record.encoder_layers,
        "points": [across, down],
        "queries": record.boxes.shape[1],
        "shown": [_row(record, one, queries.index(one[0])) for one in shown],
        "left_out": left_out,
        "no_detection": "" if len(record.detections) else visible(no_detection(record)),
        "detected": sorted(set(record.detections.queries.tolist())),
        "boxes": record.boxes.astype(np.float64).round(1).tolist(),
        "scores": record.scores.astype(np.float64).round(4).tolist(),
        "labels": record.labels.tolist(),
        "references": record.references.astype(np.float64).round(1).tolist(),
        "measured": measured,
        "maps": _packed(maps),
        "encoder": _packed(_encoder(record, across, down)),
    }


def _row(record: ImageRecord, prediction: Prediction, maps: int) -> dict[str, Any]:
    """A prediction: its number among the detections (None: below the threshold), and the index of its maps."""
    query, label = prediction
    found = _detections(record)
    number = found.index(prediction) if prediction in found else None
    name, score = visible(record.categories.name(label)), record.score(query, label)
    return {"query": query, "name": name, "score": score, "number": number, "maps": maps}


def _maps(record: ImageRecord, queries: list[int]) -> tuple[UInt8[np.ndarray, "M T P H h w"], list[Any]]:
    """Every layer's maps of the queries, each scaled to a maximum of 255, and the [region, percent inside] of each."""
    maps, measured = [], []
    for layer in range(record.layers if queries else 0):
        of_layer, boxes = record.maps(queries, layer), record.relative_boxes(queries)
        regions = peak_region(of_layer, boxes)
        inside = (100 * shares(of_layer, boxes).inside).round().long()
        measured.append(np.stack([regions.numpy(), inside.numpy()], axis=-1).transpose(2, 0, 1, 3))
        maps.append(_bytes(of_layer.numpy()).transpose(2, 0, 1, 3, 4))
    if not queries:
        return np.empty((0, 1, 1, 1, *record.grid), np.uint8), []
    return np.stack(maps, axis=1), np.stack(measured, axis=1).tolist()


def _encoder(record: ImageRecord, across: int, down: int) -> UInt8[np.ndarray, "T M h w"]:
    """Each encoder layer's attention from a grid of points, mean of the heads."""
    width, height = record.size
    points = [((i + 0.5) / across * width, (j + 0.5) / down * height) for j in range(down) for i in range(across)]
    layers = [record.encoder_maps(layer, points).mean(1) for layer in range(record.encoder_layers)]
    return _bytes(np.stack(layers)) if layers else np.empty((0, len(points), *record.grid), np.uint8)


def _bytes(maps: np.ndarray) -> np.ndarray:
    return np.rint(maps / maps.max(axis=(-2, -1), keepdims=True) * 255).astype(np.uint8)


def _packed(values: np.ndarray) -> str:
    return _text(zlib.compress(np.ascontiguousarray(values).tobytes(), 9))


def _jpeg(pixels: UInt8[np.ndarray, "H W 3"]) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "jpeg", quality=85)
    return "data:image/jpeg;base64," + _text(stream.getvalue())


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
