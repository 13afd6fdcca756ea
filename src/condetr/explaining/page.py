"""Scenes as one page that needs nothing else, in which one clicks a detection, a layer and a head."""

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

from ..reports.page import LONGEST_SIDE, Cell, Page
from ..shapes import UInt8
from ..types import Categories
from .extremities import LANDMARKS, looks_at, shares
from .head_roles import AttentionShares
from .scene import Point, Scene, nothing_found

BUDGET = 6_000_000  # bytes of maps in a page before they are packed: the packed page stays below about 5 MB
MOST_DETECTIONS = 20  # of one image
POINTS = 8  # across and down: from how many places the encoder's attention is kept

Answer = tuple[int, int]  # of a query: which one, and the label it answers with


class ExplanationPage:
    """Add scenes, then save. A scene is reduced to what the page shows of it at once, for it holds much."""

    def __init__(self, images: int, categories: Categories, subtitle: str) -> None:
        self.room, self.categories, self.subtitle = BUDGET // max(1, images), categories, subtitle
        self._images: list[dict[str, Any]] = []

    def add(self, name: str, scene: Scene, asked: Sequence[Answer]) -> None:
        """A scene with the answers asked for, then the detections, best first, as room allows for their maps."""
        found = list(dict.fromkeys([*asked, *_detections(scene)]))
        rows, columns = scene.grid
        each = len(scene.witnessed.cross) * len(scene.parts) * scene.heads * rows * columns
        room = max(1, len(asked), self.room // each)
        most = max(len(asked), MOST_DETECTIONS)
        while len({query for query, _ in found[:most]}) > room:  # two answers of one query share its maps
            most -= 1
        self._images.append(_image(name, scene, found[:most], len(found[most:])))

    def save(self, path: Path, layer: int, at: Point | None, shares: AttentionShares | None) -> None:
        """Write the page; it opens on the first image's best detection, or on what is nearest to `at`."""
        page = Page("What the detector looked at", self.subtitle)
        files = resources.files("condetr.explaining")
        page.raw(f"<style>{(files / 'page.css').read_text(encoding='utf-8')}</style>")
        page.raw('<div id="explain"></div><noscript>This page needs JavaScript.</noscript>')
        if shares is not None:
            page.heading("What each head looks at")
            many = f"Means over {shares.detections} detections" if shares.detections > 1 else "Of one detection"
            page.text(SHARES.format(many, shares.layer, shares.inside_uniform, shares.border_uniform))
            page.table(
                ["part", "head", "looks most often at", "in … of them", "inside the box", "near its border"],
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
                "landmarks": LANDMARKS,
                "names": [self.categories.name(label) for label in range(len(self.categories))],
                "start": start | ({} if at is None else {"x": round(at[0]), "y": round(at[1])}),
                "images": self._images,
            },
        )
        page.script((files / "page.js").read_text(encoding="utf-8"))
        page.save(path)


SHARES = (
    "{}, decoder layer {}. Attention that looks nowhere would have {:.0%} inside the box (its area) and {:.0%} near "
    "its border (within a tenth of its sides). A head looks at the inside when the brightest cell of its map is in the "
    "middle third of the box both ways, elsewhere when all of that cell is outside the box by more than a quarter of "
    "its side, and else at the side that the cell is furthest towards."
)
LEGEND = (
    "Each map shows where one head of the decoder's cross-attention looks for one query: bright is much, the brightest "
    "place is always drawn alike. Spatial is the softmax of p_q.p_k alone, content that of c_q.c_k alone, and combined "
    "is the softmax of their sum, which is what the layer uses. In the first layer, c_q and c_k also hold the object "
    "query and the key's position, so that content is not free of place there. DETR has no such parts, only the "
    "combined map.",
    "The white box is the answer, its dots are the four extremities, and dashed boxes are the answers after earlier "
    "layers. The blue cross is the query's reference point. Below each map stands where its "
    "brightest cell is on the object, and how much of the attention lies inside the box.",
    "The address of this page changes with what you look at, so that a view can be passed on or bookmarked.",
)


def _rows(shares: AttentionShares) -> list[list[Cell]]:
    return [
        [part, head, shares.roles[i][head], *(f"{values[i, head]:.0%}" for values in shown)]
        for shown in [(shares.agreement, shares.inside, shares.border)]
        for i, part in enumerate(shares.parts)
        for head in range(shares.inside.shape[1])
    ]


def _detections(scene: Scene) -> list[Answer]:
    return list(zip(scene.detections.queries.tolist(), scene.detections.labels.tolist()))


def _image(name: str, scene: Scene, shown: list[Answer], left_out: int) -> dict[str, Any]:
    queries = list(dict.fromkeys(query for query, _ in shown))
    rows, columns = scene.grid
    layers = range(len(scene.witnessed.cross))
    maps, measured = _maps(scene, queries)
    across, down = min(POINTS, columns), min(POINTS, rows)
    return {
        "name": name,
        "source": _jpeg(scene.image),
        "width": scene.size[0],
        "height": scene.size[1],
        "rows": rows,
        "columns": columns,
        "parts": scene.parts,
        "heads": scene.heads,
        "layers": len(layers),
        "encoder_layers": len(scene.witnessed.encoder),
        "points": [across, down],
        "queries": scene.boxes.shape[1],
        "shown": [_row(scene, one, queries.index(one[0])) for one in shown],
        "left_out": left_out,
        "nothing": "" if len(scene.detections) else nothing_found(scene),
        "kept": sorted(set(scene.detections.queries.tolist())),
        "boxes": scene.boxes.astype(np.float64).round(1).tolist(),
        "scores": scene.scores.astype(np.float64).round(4).tolist(),
        "labels": scene.labels.tolist(),
        "references": scene.references.astype(np.float64).round(1).tolist(),
        "measured": measured,
        "maps": _packed(maps),
        "encoder": _packed(_encoder(scene, across, down)),
    }


def _row(scene: Scene, answer: Answer, maps: int) -> dict[str, Any]:
    """An answer of a query: which detection it is (none: below the threshold), and which of the maps are its own."""
    query, label = answer
    found = _detections(scene)
    number = found.index(answer) if answer in found else None
    name, score = scene.categories.name(label), scene.score(query, label)
    return {"query": query, "name": name, "score": score, "number": number, "maps": maps}


def _maps(scene: Scene, queries: list[int]) -> tuple[UInt8[np.ndarray, "M T P H h w"], list[Any]]:
    """Every layer's maps of the queries, each from 0 to its own peak at 255; and [landmark, percent inside] of each."""
    maps, measured = [], []
    for layer in range(len(scene.witnessed.cross) if queries else 0):
        seen, boxes = scene.maps(queries, layer), scene.relative(queries)
        looks = looks_at(seen, boxes)
        inside = (100 * shares(seen, boxes).inside).round().long()
        measured.append(np.stack([looks.numpy(), inside.numpy()], axis=-1).transpose(2, 0, 1, 3))
        maps.append(_bytes(seen.numpy()).transpose(2, 0, 1, 3, 4))
    if not queries:
        return np.empty((0, 1, 1, 1, *scene.grid), np.uint8), []
    return np.stack(maps, axis=1), np.stack(measured, axis=1).tolist()


def _encoder(scene: Scene, across: int, down: int) -> UInt8[np.ndarray, "T M h w"]:
    """Where each encoder layer looks from the middles of a grid of points, mean of the heads."""
    width, height = scene.size
    points = [((i + 0.5) / across * width, (j + 0.5) / down * height) for j in range(down) for i in range(across)]
    layers = [scene.encoder_maps(layer, points).mean(1) for layer in range(len(scene.witnessed.encoder))]
    return _bytes(np.stack(layers)) if layers else np.empty((0, len(points), *scene.grid), np.uint8)


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
