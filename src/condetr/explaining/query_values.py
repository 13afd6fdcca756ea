"""One query of an image as JSON values: its maps in every decoder layer, its predictions, and what is near a point."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import CondetrError
from ..plural import counted
from ..predicting.batching import Scaled
from ..predicting.predictor import Predictor
from ..predicting.selection import Threshold
from ..predicting.tiling import Box, Tiled
from .extremities import REGIONS
from .image_record import Candidate, ImageRecord, Point
from .page_image import maps_of, packed
from .recording import record_scaled
from .thresholds import by_label


@dataclass(frozen=True, slots=True)
class Which:
    """What to explain: the query of this number, the query nearest to a point, otherwise a detection; 0 is the best."""

    detection: int = 0
    query: int | None = None
    at: Point | None = None


def query_values(predictor: Predictor, scaled: Scaled, which: Which, threshold: Threshold) -> dict[str, Any]:
    """The keys are described in `docs/serve.md`.

    Detections are counted as `Predictor.detect` returns them: those of `Predictor.detector` differ by rounding, or
    where the predictor has another precision. A detection that was found in a tile is explained in that tile, points
    and queries in the whole image. Raises CondetrError for a detection, query or point that does not exist.
    """
    size, region = scaled.size, (0, 0, *scaled.size)
    if which.query is None and which.at is None:
        (predicted,) = predictor.detect([scaled], None)
        found = predictor.selection(threshold, most=max(1, len(predicted)))(predicted)
        if which.detection not in range(len(found)):
            has = f"{counted(len(found), 'detection')}, and the first is number 0" if len(found) else "no detection"
            raise CondetrError(f"detection {which.detection}: the image has {has}")
        one = found[which.detection]
        view, query = divmod(int(found.queries[which.detection]), predictor.config.model.queries)
        least = by_label(threshold, predictor)[one.label]
        judged = {"threshold": least, "detected": True, "suppressed": False}
        own = _values(one.category_id, one.name, one.score, one.box) | judged
        if isinstance(scaled, Tiled) and view:
            region = left, top, right, bottom = scaled.tiles[view - 1]
            scaled = predictor.scale(scaled.pixels[top:bottom, left:right])
        record, near = record_scaled(predictor, scaled, threshold, None), []
    else:
        record = record_scaled(predictor, scaled, threshold, None)
        near = [] if which.at is None else [_candidate(record, one) for one in record.nearest(which.at)]
        own = near[0] if which.query is None else _candidate(record, _of_query(record, which.query))
        query = own["query"]
    return {
        "width": size[0],
        "height": size[1],
        **own,
        "query": query,
        "predictions": [_prediction(record, layer, query, region[:2]) for layer in range(record.layers)],
        "nearest": near,
        "attention": _attention(record, query, region),
    }


def _of_query(record: ImageRecord, query: int) -> Candidate:
    number = record.boxes.shape[1]
    if query not in range(number):
        raise CondetrError(f"query {query}: the detector has {counted(number, 'query')}, and the first is number 0")
    return next(one for one in record.nearest((0, 0), limit=number) if one.query == query)


def _attention(record: ImageRecord, query: int, region: Box) -> dict[str, Any]:
    """`region` is the part of the image that the maps cover."""
    maps, measured = maps_of(record, [query])
    cells = int((~record.attention.padding).sum())
    peaks = [record.maps([query], layer)[:, :, 0].amax((-2, -1)).numpy() * cells for layer in range(record.layers)]
    places, inside = np.moveaxis(np.array(measured[0]), -1, 0)
    return {
        "region": list(region),
        "parts": record.parts,
        "layers": record.layers,
        "heads": record.heads,
        "rows": record.grid[0],
        "columns": record.grid[1],
        "maps": packed(maps),
        "peaks": np.stack(peaks).astype(np.float64).round(3).tolist(),
        "regions": np.array(REGIONS)[places].tolist(),
        "inside": (inside / 100).tolist(),
    }


def _prediction(record: ImageRecord, layer: int, query: int, corner: tuple[int, int]) -> dict[str, Any]:
    """The query's best class after a layer; `reference` is the point from which the layer started. `corner` is the left
    and top of what the record shows, in pixels of the image."""
    label, score = int(record.labels[layer, query]), float(record.scores[layer, query])
    box = record.boxes[layer, query] + np.array([*corner, *corner], np.float32)
    values = _values(record.categories.ids[label], record.categories.name(label), score, box)
    return {**values, "reference": (record.references[layer, query] + np.array(corner, np.float32)).tolist()}


def _candidate(record: ImageRecord, one: Candidate) -> dict[str, Any]:
    values = _values(record.categories.ids[one.label], one.name, one.score, one.box)
    judged = {"threshold": one.threshold, "detected": one.detected, "suppressed": one.suppressed}
    return {**values, **judged, "query": one.query, "covers": one.covers}


def _values(category_id: int, category: str, score: float, box: Any) -> dict[str, Any]:
    """As `Detections.to_dict` names them."""
    return {"category_id": category_id, "category": category, "score": score, "box": [float(side) for side in box]}
