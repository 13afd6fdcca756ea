"""`condetr explain`: pictures in; a figure for each detection and one page for all of them out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import CondetrError, PictureError
from ..files import write_bytes
from ..predict import Predictor
from ..predicting.sources import Found
from .explanation import Explanation, Point, Scene, look, nothing_found
from .figure import png
from .head_roles import average
from .page import MOST_DETECTIONS, ExplanationPage

MOST_PICTURES = 24  # in one page
NEAREST = 3  # queries whose maps the page holds for a point


@dataclass(frozen=True, slots=True)
class Asked:
    """What to explain: detection K of each picture, what is about a point of it, or every detection."""

    detection: int | None
    at: Point | None
    layer: int
    threshold: float | Literal["best"]


@dataclass(frozen=True, slots=True)
class Written:
    """The page, the figures, what is worth a remark, and the pictures that could not be read, with the reason."""

    page: Path | None
    figures: tuple[Path, ...]
    remarks: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def point_of(text: str) -> Point:
    """The point that `--at X,Y` names."""
    try:
        x, y = (float(number) for number in text.split(","))
    except ValueError:
        raise CondetrError(f"--at {text}: write it as X,Y in pixels of the picture, for example --at 120,80") from None
    return x, y


def explain_pictures(predictor: Predictor, pictures: Sequence[Found], asked: Asked, out: Path) -> Written:
    """Write `explain.html` and a PNG for each explained detection into a folder.

    A picture without a detection is in the page all the same, where one can ask why. Raises CondetrError, in one line,
    for a layer, a detection or a point that does not exist.
    """
    if len(pictures) > MOST_PICTURES:
        raise CondetrError(f"explain: {len(pictures)} pictures; a page holds at most {MOST_PICTURES}. Name fewer")
    if asked.detection is not None and asked.at is not None:
        raise CondetrError("explain: give --detection or --at, not both")
    predictor.bar(asked.threshold)
    subtitle = f"{predictor.config.recipe}; a detection scores {asked.threshold} or more"
    page = ExplanationPage(len(pictures), predictor.categories, subtitle)
    seen: list[Explanation] = []
    figures, remarks, refused, layer = [], [], [], 0
    taken: set[str] = set()
    for picture in pictures:
        try:
            scene = look(predictor, picture.read(), asked.threshold)
        except PictureError as error:
            refused.append((picture.name, str(error)))
            continue
        try:
            layer = scene.layer(asked.layer)
            chosen = _chosen(scene, asked)
        except CondetrError as error:
            raise CondetrError(f"{picture.name}: {error}") from None
        if not len(scene.detections) and asked.at is None:
            remarks.append(f"{picture.name}: {nothing_found(scene)}")
        page.add(str(picture.below), scene, [query for query, _, _ in chosen])
        stem = _stem(picture.below.stem, taken)
        for number, (query, label, word) in enumerate(chosen):
            if asked.at is not None and number:
                break
            seen.append(scene.explanation(query, label, layer, asked.at))
            figures.append(out / f"{stem}-{word}-layer{layer}.png")
            write_bytes(figures[-1], png(seen[-1]))
        if asked.at is None and asked.detection is None and len(scene.detections) > len(chosen):
            remarks.append(f"{picture.name}: figures of the best {len(chosen)} of {len(scene.detections)} detections")
    if len(refused) == len(pictures):
        return Written(None, (), (), tuple(refused))
    page.save(out / "explain.html", layer, asked.at, average(seen) if seen and asked.at is None else None)
    return Written(out / "explain.html", tuple(figures), tuple(remarks), tuple(refused))


def _chosen(scene: Scene, asked: Asked) -> list[tuple[int, int, str]]:
    """Query, label and a word for a file name, of what is to be explained."""
    if asked.at is not None:
        x, y = asked.at
        return [(one.query, one.label, f"at-{x:g}-{y:g}") for one in scene.nearest(asked.at, NEAREST)]
    detections = scene.detections
    if asked.detection is not None and len(detections):
        if not 0 <= asked.detection < len(detections):
            raise CondetrError(f"detection {asked.detection}: there are {len(detections)}, counted from 0")
        numbers = [asked.detection]
    else:
        numbers = list(range(min(len(detections), MOST_DETECTIONS)))
    return [(int(detections.queries[k]), int(detections.labels[k]), f"detection{k}") for k in numbers]


def _stem(name: str, taken: set[str]) -> str:
    """A file name's beginning that no other picture of this run has, on any system."""
    stem = base = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[:80].lstrip(".") or "picture"
    number = 1
    while stem.casefold() in taken:
        number += 1
        stem = f"{base}-{number}"
    taken.add(stem.casefold())
    return stem
