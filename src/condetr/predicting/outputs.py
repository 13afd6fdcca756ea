"""The files of one run, written as predictions arrive and kept however the run ends; and a table for the terminal."""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..detections import Detection, Detections
from ..errors import CondetrError
from ..files import check_writable
from ..plural import counted
from ..reports.terminal import Column, FittedTable
from ..types import Categories
from ..videos.sources import VideoSource
from .drawn_videos import DrawnVideos
from .kept import kept
from .sources import Found, Opened
from .writers import Coco, Csv, DrawnImages, JsonLines, Writer, rows

SIDES = ("left", "top", "right", "bottom")
FORMATS = ("images", "coco", "jsonl", "csv")
TEXTS = ("predictions.jsonl", "predictions.csv", "coco.json", "coco_images.json")


class Outputs:
    """The files of one run. Use as `with Outputs.open(...)`: what was written is kept however the block ends."""

    def __init__(self, folder: Path, writers: Sequence[Writer], texts: Sequence[str] = ()) -> None:
        """`texts` are the names of the text files that are written in the folder."""
        self.folder, self.writers, self.texts = folder, writers, texts

    @classmethod
    @contextmanager
    def open(
        cls, folder: Path, formats: Sequence[str], categories: Categories, codec: str = "vp9"
    ) -> Iterator["Outputs"]:
        """`codec` is that of drawn videos. Raises CondetrError where the folder cannot be written."""
        texts: list[str] = []
        with ExitStack() as stack:

            def text(name: str) -> io.TextIOBase:
                texts.append(name)
                part = stack.enter_context(kept(folder / name))
                return stack.enter_context(part.open("w", encoding="utf-8", errors="backslashreplace", newline=""))

            writers: list[Writer] = []
            if "images" in formats:
                check_writable(folder)
                writers += [DrawnImages(folder / "images"), DrawnVideos(folder / "videos", codec)]
            if "coco" in formats:
                writers.append(stack.enter_context(Coco.open(text("coco.json"), text("coco_images.json"), categories)))
            if "jsonl" in formats:
                writers.append(JsonLines(text("predictions.jsonl")))
            if "csv" in formats:
                writers.append(Csv(text("predictions.csv")))
            yield cls(folder, writers, texts)

    @property
    def draws(self) -> bool:
        """Whether images are drawn, so that their pixels are needed after the prediction."""
        return any(isinstance(writer, DrawnImages) for writer in self.writers)

    def opened(self, found: Found) -> Opened:
        """The image to predict and then to `write`. If images are drawn, it keeps its pixels, so that it is decoded
        only once."""
        return Opened(found, keep=self.draws)

    def ahead(self, batch: int) -> int | None:
        """How many images to read ahead: fewer if each keeps its pixels in full size."""
        return 2 * batch if self.draws and batch > 1 else None

    def write(self, image: Opened, detections: Detections) -> None:
        """Raises CondetrError if a file cannot be written."""
        for writer in self.writers:
            writer.write(image, detections)

    @contextmanager
    def video(self, source: VideoSource, rate: float) -> Iterator[list[int]]:
        """Frames that are written inside the block belong to one video. At the end, the list contains the number of
        frames that are not drawn because others are due at the same time."""
        drawn = [writer for writer in self.writers if isinstance(writer, DrawnVideos)]
        dropped: list[int] = []
        for writer in drawn:
            writer.begin(source, rate)
        try:
            yield dropped
        finally:
            dropped += [writer.finish() for writer in drawn]

    def earlier(self) -> list[str]:
        """What the folder has besides the files of this run, most likely of earlier ones: text files, and how many
        images and videos."""
        names = [name for name in TEXTS if name not in self.texts and (self.folder / name).is_file()]
        for kind in ("images", "videos"):
            paths = (Path(at, name) for at, _, files in os.walk(self.folder / kind) for name in files)
            others = sum(not any(writer.wrote(path) for writer in self.writers) for path in paths)
            names += [f"{counted(others, kind[:-1])} in {kind}/"] if others else []
        return names

    def skip(self, name: str, reason: str) -> None:
        """Record an image that could not be read."""
        for writer in self.writers:
            writer.skip(name, reason)


def parse_formats(text: str) -> tuple[str, ...]:
    """The formats in a text such as `coco,csv`. Raises CondetrError for one that does not exist."""
    formats = tuple(word.strip().lower() for word in text.split(",") if word.strip())
    for format in formats or (text,):
        if format not in FORMATS:
            raise CondetrError(f"`format={format!r}`: no such format. There are {', '.join(FORMATS)}")
    return formats


def table(detections: Detections) -> FittedTable:
    """The detections of one image for a terminal, best first."""
    shown = FittedTable(Column("class", kind="name"), Column("score"), *(Column(side, drop=1) for side in SIDES))
    for _, name, score, box in rows(detections):
        shown.add_row(name, f"{score:.3f}", *(f"{x:.0f}" for x in box))
    return shown


def nothing(best: Detection | None, min_score: float | tuple[float, ...], file: str = "") -> str:
    """A line in place of empty results: `best` is the best detection below the threshold, in the image `file`."""
    threshold = "the threshold of its class" if isinstance(min_score, tuple) else f"the threshold {min_score:g}"
    line = f"no detection reaches {threshold}"
    if best is None:
        return line
    where = f" in {file}" if file else ""
    return f"{line}; the best score is {best.score:.2g} ({best.name}{where}): lower `threshold`"
