"""Explaining one detection of an image, or a point of it."""

import os
from pathlib import Path

from ..arguments import path_of, whole_number
from ..errors import CondetrError
from ..files import check_replaceable, write_bytes
from ..predicting.exported import refuse_exported
from ..predicting.inputs import InMemory, Name, inputs, is_one_image
from ..predicting.predictor import Predictor
from ..predicting.selection import Threshold
from .explanation import Explanation
from .image_record import Point
from .recording import record_image


def explain(
    weights: str | os.PathLike[str] | Predictor,
    image: Name | InMemory,
    *,
    detection: int | None = None,
    at: Point | None = None,
    layer: int = -1,
    threshold: Threshold = None,
    figure: str | os.PathLike[str] | None = None,
) -> Explanation:
    """Explain one detection: the attention of its query in one decoder layer, and how its box came about.

    Args:
        weights: a folder of weights, a hub id, or a Predictor.
        image: one image, as `Predictor` takes it: a path or address, a PIL image, an RGB uint8 array (H W 3), bytes.
        detection: which detection; 0, the default, is the one with the highest score.
        at: a point (x, y) in pixels instead of a detection: explains the query nearest to it, detected or not.
        layer: the decoder layer, counted from 0; -1 is the last.
        threshold: the confidence threshold. None takes those stored in the weights, or 0.5 if there are none; "best"
            takes them and fails if there are none.
        figure: a PNG file to write, with the maps laid out as in the paper's figures.

    Raises CondetrError for a detection, layer or point that does not exist, ImageError for an image that cannot be
    read.
    """
    if at is not None and detection is not None:
        raise CondetrError("explain: give `detection` or `at`, not both")
    if not is_one_image(image):
        raise CondetrError("explain: takes one image; for several, run `condetr explain`")
    refuse_exported(weights)
    detection = None if detection is None else whole_number(detection, "detection", 0)
    layer = whole_number(layer, "layer")
    file = None if figure is None else path_of(figure, "figure")
    if file is not None:
        check_replaceable(file)
    predictor = weights if isinstance(weights, Predictor) else Predictor.load(weights)
    (one,) = inputs([image])
    record = record_image(predictor, one.open_named(), threshold)
    if at is not None:
        nearest = record.nearest(at, limit=1)[0]
        explanation = Explanation.of(record, nearest.query, nearest.label, layer, at)
    else:
        query, label = record.detection(0 if detection is None else detection)
        explanation = Explanation.of(record, query, label, layer)
    if file is not None:
        _write_figure(explanation, file)
    return explanation


def _write_figure(explanation: Explanation, file: Path) -> None:
    from .figures import png  # loads matplotlib, which the numbers do not need

    write_bytes(file, png(explanation))
