"""Explaining detections: one as an `Explanation`, or those of many images as figures and one HTML page."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..arguments import whole_number
from ..errors import CondetrError
from ..files import write_bytes
from ..predicting.inputs import InMemory, Name, inputs, is_one_image
from ..predicting.predictor import Predictor
from ..predicting.selection import Threshold
from ..predicting.sources import Found
from .explanation import Explanation
from .figures import png
from .head_roles import Measurement, average
from .image_record import (
    ADVICE,
    ImageRecord,
    Point,
    ResolvedThreshold,
    layer_index,
    no_detection,
    record_image,
    resolve,
)
from .page import MOST_DETECTIONS, ExplanationPage

MOST_IMAGES = 24  # in one page
NEAREST = 3  # queries near a given point whose maps are in the page


def explain(
    weights: str | os.PathLike[str] | Predictor,
    image: Name | InMemory,
    *,
    detection: int | None = None,
    at: Point | None = None,
    layer: int = -1,
    threshold: Threshold = None,
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

    Raises CondetrError for a detection, layer or point that does not exist, ImageError for an image that cannot be
    read.
    """
    if at is not None and detection is not None:
        raise CondetrError("explain: give a detection or a point (at), not both")
    if not is_one_image(image):
        raise CondetrError("explain: takes one image; for several, run `condetr explain`")
    detection = None if detection is None else whole_number(detection, "detection")
    layer = whole_number(layer, "layer")
    predictor = weights if isinstance(weights, Predictor) else Predictor.load(weights)
    (one,) = inputs([image])
    record = record_image(predictor, one.open(), threshold)
    if at is not None:
        nearest = record.nearest(at, limit=1)[0]
        return Explanation.of(record, nearest.query, nearest.label, layer, at)
    query, label = record.detection(0 if detection is None else detection)
    return Explanation.of(record, query, label, layer)


@dataclass(frozen=True, slots=True)
class Selection:
    """What to explain in each image: one detection, the queries nearest to a point, or every detection."""

    detection: int | None = None
    at: Point | None = None
    layer: int = -1
    threshold: Threshold = None


@dataclass(frozen=True, slots=True)
class ExplainedImages:
    """The files that `explain_images` wrote, notes for the user, and the images that failed, each with the reason.

    `interrupted` is the interrupt that stopped it, if one did: then there are figures but no page.
    """

    page: Path | None
    figures: tuple[Path, ...]
    notes: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    interrupted: KeyboardInterrupt | None = None


def parse_point(text: str) -> Point:
    """The point of the option `--at X,Y`."""
    try:
        x, y = (float(number) for number in text.split(","))
    except ValueError:
        raise CondetrError(f"--at {text}: write it as X,Y in pixels of the image, for example --at 120,80") from None
    return x, y


def check(images: Sequence[Found], selection: Selection) -> None:
    """Check what can be checked before any weights are loaded. Raises CondetrError."""
    if len(images) > MOST_IMAGES:
        raise CondetrError(f"explain: {len(images)} images; a page holds at most {MOST_IMAGES}. Name fewer")
    if selection.detection is not None and selection.at is not None:
        raise CondetrError("explain: give --detection or --at, not both")


def explain_images(
    predictor: Predictor,
    images: Sequence[Found],
    selection: Selection,
    out: Path,
    progress: Callable[[float, int], None] | None = None,
) -> ExplainedImages:
    """Write `explain.html` and a PNG figure for each explained detection into a folder.

    `progress(done, total)` is called with the number of images done, in fractions while an image's figures are drawn,
    and the number of images. An image without a detection is still in the page, where its queries can be inspected.
    An image that cannot be read, or has no such detection or point, is reported in `failed`, and the others are
    explained. Raises CondetrError, before anything is written, for a selection that is invalid for every image.
    """
    check(images, selection)
    predictor.min_score(selection.threshold)
    layer = layer_index(selection.layer, predictor.config.model.decoder_layers)
    subtitle = f"{predictor.config.recipe}; {_threshold_words(resolve(selection.threshold, predictor))}"
    page = ExplanationPage(len(images), predictor.categories, subtitle)
    report = progress or _no_progress
    measured: list[Measurement] = []
    figures: list[Path] = []
    notes: list[str] = []
    failed: list[tuple[str, str]] = []
    stems: set[str] = set()
    every = selection.at is None and selection.detection is None
    try:
        for number, image in enumerate(images):
            report(float(number), len(images))
            try:
                record = record_image(predictor, image.read(), selection.threshold)
                selected = _selected(record, selection)
            except CondetrError as error:
                failed.append((image.name, str(error)))
                continue
            if not len(record.detections) and every:
                notes.append(f"{image.name}: {no_detection(record)}. {ADVICE}")
            page.add(str(image.relative), record, [] if every else [one[:2] for one in selected])
            stem = _stem(image.relative.stem, stems)
            drawn = selected if selection.at is None else selected[:1]
            for done, (query, label, suffix) in enumerate(drawn):
                explanation = Explanation.of(record, query, label, layer, selection.at)
                measured.append(Measurement.of(explanation))
                path = out / f"{stem}-{suffix}-layer{layer}.png"
                write_bytes(path, png(explanation))
                figures.append(path)
                report(number + (done + 1) / len(drawn), len(images))
            if every and len(record.detections) > len(selected):
                count = len(record.detections)
                notes.append(f"{image.name}: figures of the best {len(selected)} of {count} detections")
        report(float(len(images)), len(images))
        if len(failed) == len(images):
            return ExplainedImages(None, (), (), tuple(failed))
        means = average(measured) if measured and selection.at is None else None
        page.save(out / "explain.html", layer, selection.at, means)
    except KeyboardInterrupt as interrupt:
        return ExplainedImages(None, tuple(figures), tuple(notes), tuple(failed), interrupted=interrupt)
    return ExplainedImages(out / "explain.html", tuple(figures), tuple(notes), tuple(failed))


def _no_progress(done: float, total: int) -> None:
    pass


def _threshold_words(threshold: ResolvedThreshold) -> str:
    if threshold == "best":
        return "confidence thresholds stored in the weights, one for each class"
    return f"confidence threshold {float(threshold):g}"


def _selected(record: ImageRecord, selection: Selection) -> list[tuple[int, int, str]]:
    """The query, the label and a suffix for the figure's file name, for each prediction to explain."""
    if selection.at is not None:
        x, y = selection.at
        return [(one.query, one.label, f"at-{x:g}-{y:g}") for one in record.nearest(selection.at, NEAREST)]
    if selection.detection is None:
        numbers = list(range(min(len(record.detections), MOST_DETECTIONS)))
    else:
        numbers = [selection.detection]
    return [(*record.detection(number), f"detection{number}") for number in numbers]


def _stem(name: str, taken: set[str]) -> str:
    """The beginning of a file name, valid on any system and different from that of every other image of this run."""
    stem = base = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[:80].lstrip(".") or "image"
    number = 1
    while stem.casefold() in taken:
        number += 1
        stem = f"{base}-{number}"
    taken.add(stem.casefold())
    return stem
