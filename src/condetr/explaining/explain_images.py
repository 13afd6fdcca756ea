"""Explaining many images: HTML pages of up to 24 images each, and on request figures of their detections."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import CondetrError
from ..files import write_bytes
from ..plural import counted
from ..predicting.predictor import Predictor
from ..predicting.selection import Threshold
from ..predicting.sources import Found
from .explanation import Explanation
from .figures import png
from .head_roles import Measurement, average
from .image_record import ImageRecord, Point, layer_index
from .page import MOST_DETECTIONS, ExplanationPage
from .recording import record_image
from .thresholds import ADVICE, resolve, threshold_words

MOST_IMAGES = 24  # in one page
NEAREST = 3  # queries near a given point whose maps are in the page
LONGEST_STEM = 80  # bytes of an image's name in the names of its figures


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

    `interrupted` is the interrupt that stopped it, if one did: then the pages have the images until then.
    """

    pages: tuple[Path, ...]
    figures: tuple[Path, ...]
    notes: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    interrupted: KeyboardInterrupt | None = None


def check(selection: Selection) -> None:
    """Check what can be checked before any weights are loaded. Raises CondetrError."""
    if selection.detection is not None and selection.at is not None:
        raise CondetrError("explain: give `detection` or `at`, not both")
    if selection.detection is not None and selection.detection < 0:
        raise CondetrError(
            f"`detection={selection.detection}`: they are counted from 0, the one with the highest score"
        )


def explain_images(
    predictor: Predictor,
    images: Sequence[Found],
    selection: Selection,
    out: Path,
    progress: Callable[[float, int], None] | None = None,
    figures: bool = False,
) -> ExplainedImages:
    """Write `explain.html` into a folder, and `explain-2.html` … where there are more than 24 images. With `figures`,
    each explained detection also has a PNG figure, whose drawing takes about a second.

    `progress(done, total)` is called with the number of images done, in fractions while an image's figures are drawn,
    and the number of images. An image without a detection is still in the page, where its queries can be inspected.
    An image that cannot be read, or has no such detection or point, is reported in `failed`, and the others are
    explained. Raises CondetrError, before anything is written, for a selection that is invalid for every image.
    """
    check(selection)
    run = _Run(predictor, selection, out, len(images), figures)
    report = progress or _no_progress
    try:
        for number, image in enumerate(images):
            report(float(number), len(images))
            run.add(image, lambda share, number=number: report(number + share, len(images)))  # type: ignore[misc]
        report(float(len(images)), len(images))
        run.save_page()
    except KeyboardInterrupt as interrupt:
        run.save_page()
        return run.result(interrupt)
    return run.result()


class _Run:
    """The pages, figures and notes of a run, image by image."""

    def __init__(self, predictor: Predictor, selection: Selection, out: Path, images: int, figures: bool) -> None:
        predictor.min_score(selection.threshold)
        self.predictor, self.selection, self.out, self.draws = predictor, selection, out, figures
        self.layer = layer_index(selection.layer, predictor.config.model.decoder_layers)
        words = threshold_words(resolve(selection.threshold, predictor))
        self.subtitle = f"{predictor.config.recipe}; {words}"
        self.of_page = min(images, MOST_IMAGES)
        self.digits = len(str(-(-images // MOST_IMAGES)))
        self.page = self._new_page()
        self.measured: list[Measurement] = []
        self.pages: list[Path] = []
        self.figures: list[Path] = []
        self.notes: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.stems: set[str] = set()

    def add(self, image: Found, progress: Callable[[float], None]) -> None:
        """Explain one image, unless it fails. `progress` takes the fraction of its figures that are drawn."""
        selection = self.selection
        every = selection.at is None and selection.detection is None
        try:
            record = record_image(self.predictor, image.read(), selection.threshold)
            selected = _selected(record, selection)
        except CondetrError as error:
            self.failed.append((image.name, str(error)))
            return
        if not len(record.detections) and every:
            self.notes.append(f"{image.name}: {record.no_detection}. {ADVICE}")
        if len(self.page) == MOST_IMAGES:
            self.save_page(follows=True)
        self.page.add(str(image.relative), record, [] if every else [one[:2] for one in selected])
        stem = file_stem(image.relative.stem, self.stems)
        drawn = selected if selection.at is None else selected[:1]
        for done, (query, label, suffix) in enumerate(drawn, start=1):
            explanation = Explanation.of(record, query, label, self.layer, selection.at)
            self.measured.append(Measurement.of(explanation))
            if self.draws:
                path = self.out / f"{stem}-{suffix}-layer{self.layer}.png"
                write_bytes(path, png(explanation))
                self.figures.append(path)
                progress(done / len(drawn))
        if self.draws and every and len(record.detections) > len(selected):
            count = len(record.detections)
            self.notes.append(f"{image.name}: figures of the best {len(selected)} of {counted(count, 'detection')}")

    def save_page(self, follows: bool = False) -> None:
        """Write the page of the images since the last one, if there are any; `follows`: another page comes after it."""
        if not len(self.page):
            return
        means = average(self.measured) if self.measured and self.selection.at is None else None
        number = len(self.pages) + 1
        path, previous = self.out / page_name(number, self.digits), page_name(number - 1, self.digits)
        links = {"previous": previous if number > 1 else "", "next": page_name(number + 1, self.digits) * follows}
        self.page.save(path, self.layer, self.selection.at, means, links)
        self.pages.append(path)
        self.page, self.measured = self._new_page(), []

    def result(self, interrupt: KeyboardInterrupt | None = None) -> ExplainedImages:
        return ExplainedImages(
            tuple(self.pages), tuple(self.figures), tuple(self.notes), tuple(self.failed), interrupt
        )  # fmt: skip

    def _new_page(self) -> ExplanationPage:
        return ExplanationPage(self.of_page, self.predictor.categories, self.subtitle)


def page_name(number: int, digits: int) -> str:
    """With as many digits as the last number has, so that files are listed in order."""
    return "explain.html" if number == 1 else f"explain-{number:0{digits}}.html"


def _no_progress(done: float, total: int) -> None:
    pass


def _selected(record: ImageRecord, selection: Selection) -> list[tuple[int, int, str]]:
    """The query, the label and a suffix for the figure's file name, for each prediction to explain."""
    if selection.at is not None:
        x, y = selection.at
        return [(one.query, one.label, f"at-{x:g}-{y:g}") for one in record.nearest(selection.at, NEAREST)]
    if selection.detection is None:
        numbers = list(range(min(len(record.detections), MOST_DETECTIONS)))
    else:
        numbers = [selection.detection]
    digits = len(str(numbers[-1])) if numbers else 1  # so that files are listed in this order
    return [(*record.detection(number), f"detection{number:0{digits}}") for number in numbers]


def file_stem(name: str, taken: set[str]) -> str:
    """The beginning of a file name: the image's own letters of any script, valid on any system, and different from that
    of every other image of this run, also where a file system ignores case or the form of accents."""
    letters = re.sub(r"[^\w.-]", "_", unicodedata.normalize("NFC", name))  # lone surrogates are no letters
    base = letters.encode()[:LONGEST_STEM].decode(errors="ignore").strip(".") or "image"
    stem, number = base, 1
    while unicodedata.normalize("NFKC", stem).casefold() in taken:
        number += 1
        stem = f"{base}-{number}"
    taken.add(unicodedata.normalize("NFKC", stem).casefold())
    return stem
