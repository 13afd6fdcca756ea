"""`condetr explain`: images in; a figure for each detection and one page for all of them out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import CondetrError
from ..files import write_bytes
from ..predicting.predictor import Predictor
from ..predicting.sources import Found
from .explanation import Explanation
from .figures import png
from .head_roles import average
from .page import MOST_DETECTIONS, ExplanationPage
from .scene import ADVICE, Point, Scene, Threshold, enough, layer_of, look, nothing_found

MOST_IMAGES = 24  # in one page
NEAREST = 3  # queries whose maps the page holds for a point


@dataclass(frozen=True, slots=True)
class Asked:
    """What to explain: detection K of each image, what is about a point of it, or every detection."""

    detection: int | None
    at: Point | None
    layer: int
    threshold: Threshold


@dataclass(frozen=True, slots=True)
class Written:
    """The page, the figures, what is worth a remark, and the images that were left out, with the reason.

    `interrupted`: the user stopped it, so that there are figures without a page.
    """

    page: Path | None
    figures: tuple[Path, ...]
    remarks: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    interrupted: bool = False


def point_of(text: str) -> Point:
    """The point that `--at X,Y` names."""
    try:
        x, y = (float(number) for number in text.split(","))
    except ValueError:
        raise CondetrError(f"--at {text}: write it as X,Y in pixels of the image, for example --at 120,80") from None
    return x, y


def check(images: Sequence[Found], asked: Asked) -> None:
    """What can be known to be a mistake before any weights are loaded. Raises CondetrError."""
    if len(images) > MOST_IMAGES:
        raise CondetrError(f"explain: {len(images)} images; a page holds at most {MOST_IMAGES}. Name fewer")
    if asked.detection is not None and asked.at is not None:
        raise CondetrError("explain: give --detection or --at, not both")


def explain_images(predictor: Predictor, images: Sequence[Found], asked: Asked, out: Path) -> Written:
    """Write `explain.html` and a PNG for each explained detection into a folder.

    An image without a detection is in the page all the same, where one can ask why; one that cannot be read, or has no
    such detection or point, is refused, and the others go on. Raises CondetrError, in one line and before anything is
    written, for what is wrong for all of them.
    """
    check(images, asked)
    predictor.bar(asked.threshold)
    layer = layer_of(asked.layer, predictor.config.model.decoder_layers)
    subtitle = f"{predictor.config.recipe}; a detection scores {enough(asked.threshold)}"
    page = ExplanationPage(len(images), predictor.categories, subtitle)
    seen: list[Explanation] = []
    figures: list[Path] = []
    remarks: list[str] = []
    refused: list[tuple[str, str]] = []
    taken: set[str] = set()
    everything = asked.at is None and asked.detection is None
    try:
        for image in images:
            try:
                scene = look(predictor, image.read(), asked.threshold)
                chosen = _chosen(scene, asked)
            except CondetrError as error:
                refused.append((image.name, str(error)))
                continue
            if not len(scene.detections) and everything:
                remarks.append(f"{image.name}: {nothing_found(scene)}. {ADVICE}")
            page.add(str(image.below), scene, [] if everything else [one[:2] for one in chosen])
            stem = _stem(image.below.stem, taken)
            for query, label, word in chosen if asked.at is None else chosen[:1]:
                seen.append(Explanation.of(scene, query, label, layer, asked.at))
                path = out / f"{stem}-{word}-layer{layer}.png"
                write_bytes(path, png(seen[-1]))
                figures.append(path)
            if everything and len(scene.detections) > len(chosen):
                remarks.append(f"{image.name}: figures of the best {len(chosen)} of {len(scene.detections)} detections")
        if len(refused) == len(images):
            return Written(None, (), (), tuple(refused))
        page.save(out / "explain.html", layer, asked.at, average(seen) if seen and asked.at is None else None)
    except KeyboardInterrupt:
        return Written(None, tuple(figures), tuple(remarks), tuple(refused), interrupted=True)
    return Written(out / "explain.html", tuple(figures), tuple(remarks), tuple(refused))


def _chosen(scene: Scene, asked: Asked) -> list[tuple[int, int, str]]:
    """Query, label and a word for a file name, of what is to be explained."""
    if asked.at is not None:
        x, y = asked.at
        return [(one.query, one.label, f"at-{x:g}-{y:g}") for one in scene.nearest(asked.at, NEAREST)]
    numbers = range(min(len(scene.detections), MOST_DETECTIONS)) if asked.detection is None else [asked.detection]
    return [(*scene.detection(number), f"detection{number}") for number in numbers]


def _stem(name: str, taken: set[str]) -> str:
    """A file name's beginning that no other image of this run has, on any system."""
    stem = base = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[:80].lstrip(".") or "image"
    number = 1
    while stem.casefold() in taken:
        number += 1
        stem = f"{base}-{number}"
    taken.add(stem.casefold())
    return stem
