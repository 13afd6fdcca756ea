"""An image record as JSON values for the page of `condetr explain`: maps packed in 8 bits, predictions, the image."""

import base64
import io
import zlib
from typing import Any

import matplotlib
import numpy as np
from PIL import Image

from ..reports.elements import LONGEST_SIDE, visible
from ..shapes import UInt8
from .extremities import peak_region, shares
from .image_record import ImageRecord

COLORMAP = "inferno"
POINTS = 8  # across and down: for how many points the encoder's attention is stored

Prediction = tuple[int, int]  # a query and a label


def detections_of(record: ImageRecord) -> list[Prediction]:
    return list(zip(record.detections.queries.tolist(), record.detections.labels.tolist()))


def image_values(name: str, record: ImageRecord, shown: list[Prediction], left_out: int) -> dict[str, Any]:
    queries = list(dict.fromkeys(query for query, _ in shown))
    rows, columns = record.grid
    maps, measured = maps_of(record, queries)
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
        "no_detection": visible(record.no_detection),
        "detected": {query: [label, round(score, 4)] for query, (label, score) in record.detected().items()},
        "boxes": record.boxes.astype(np.float64).round(1).tolist(),
        "suppressed": sorted({query for query, _ in record.suppressed()} - record.detected().keys()),
        "beyond": sorted(record.beyond()),
        "kept": len(record.all_detections),
        "scores": record.scores.astype(np.float64).round(4).tolist(),
        "labels": record.labels.tolist(),
        "references": record.references.astype(np.float64).round(1).tolist(),
        "measured": measured,
        "maps": packed(maps),
        "encoder": packed(_encoder(record, across, down)),
    }


def _row(record: ImageRecord, prediction: Prediction, maps: int) -> dict[str, Any]:
    """A prediction: its number among the detections (None: it is none), and the index of its maps."""
    query, label = prediction
    found = detections_of(record)
    number = found.index(prediction) if prediction in found else None
    name, score = visible(record.categories.name(label)), record.score(query, label)
    suppressed = prediction in record.suppressed()
    return {"query": query, "name": name, "score": score, "number": number, "suppressed": suppressed, "maps": maps}


def maps_of(record: ImageRecord, queries: list[int]) -> tuple[UInt8[np.ndarray, "M T P H h w"], list[Any]]:
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


def packed(values: np.ndarray) -> str:
    return base64_text(zlib.compress(np.ascontiguousarray(values).tobytes(), 9))


def _jpeg(pixels: UInt8[np.ndarray, "H W 3"]) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "jpeg", quality=85)
    return "data:image/jpeg;base64," + base64_text(stream.getvalue())


def colormap() -> bytes:
    """The colors of maps: 256 RGB triples."""
    colors = matplotlib.colormaps[COLORMAP](np.arange(256))[:, :3] * 255
    return colors.round().astype(np.uint8).tobytes()


def base64_text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
