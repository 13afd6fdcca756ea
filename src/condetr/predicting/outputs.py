"""The files of one run, written as the answers come and kept however it ends; and a table for the terminal."""

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ..detections import Detections
from ..errors import CondetrError
from ..files import check_writable, replacing
from ..reports.terminal import printable
from ..types import Categories
from .sources import Found
from .writers import Coco, Csv, DrawnImages, JsonLines, Writer, rows

FORMATS = ("images", "coco", "jsonl", "csv")


class Outputs:
    """The files of one run. Use as `with Outputs.open(...)`: what was written is kept however the block ends."""

    def __init__(self, folder: Path, writers: Sequence[Writer]) -> None:
        self.folder, self.writers = folder, writers

    @classmethod
    @contextmanager
    def open(cls, folder: Path, formats: Sequence[str], categories: Categories) -> Iterator["Outputs"]:
        """Raises CondetrError where the folder cannot be written."""
        with ExitStack() as stack:

            def text(name: str) -> io.TextIOBase:
                part = stack.enter_context(_kept(folder / name))
                return stack.enter_context(part.open("w", encoding="utf-8", errors="backslashreplace", newline=""))

            writers: list[Writer] = []
            if "images" in formats:
                check_writable(folder)
                writers.append(DrawnImages(folder / "images"))
            if "coco" in formats:
                writers.append(stack.enter_context(Coco.open(text("coco.json"), text("coco_images.json"), categories)))
            if "jsonl" in formats:
                writers.append(JsonLines(text("predictions.jsonl")))
            if "csv" in formats:
                writers.append(Csv(text("predictions.csv")))
            yield cls(folder, writers)

    def write(self, found: Found, detections: Detections) -> None:
        """Raises ImageError where the image is gone by now, CondetrError where it cannot be written down."""
        for writer in self.writers:
            writer.write(found, detections)

    def refuse(self, name: str, reason: str) -> None:
        for writer in self.writers:
            writer.refuse(name, reason)


def formats_of(words: str) -> tuple[str, ...]:
    """The formats of `coco,csv`; raises CondetrError for one that does not exist."""
    formats = tuple(word.strip().lower() for word in words.split(",") if word.strip())
    for format in formats or (words,):
        if format not in FORMATS:
            raise CondetrError(f"--format {format}: no such format. There are {', '.join(FORMATS)}")
    return formats


@contextmanager
def _kept(path: Path) -> Iterator[Path]:
    """As `replacing`, but Ctrl-C or an error inside the block still leaves what was written in place."""
    failure: BaseException | None = None
    with replacing(path) as part:
        try:
            yield part
        except BaseException as error:
            failure = error
    if isinstance(failure, OSError):
        raise CondetrError(f"{path}: cannot be written ({failure.strerror or failure}); kept up to there") from None
    if failure is not None:
        raise failure


def table(detections: Detections) -> Table:
    """The detections of one image for a terminal, best first."""
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    shown.add_column("class")
    for column in ("score", "left", "top", "right", "bottom"):
        shown.add_column(column, justify="right")
    for _, name, score, box in rows(detections):
        shown.add_row(Text(printable(name)), f"{score:.3f}", *(f"{x:.0f}" for x in box))
    return shown


def nothing(answer: Detections, threshold: str) -> str:
    """Said instead of an empty table, with the best of what was not certain enough."""
    guess = f"; the best guess is {printable(answer.names[0])} at {answer.scores[0]:.2f}" if len(answer) else ""
    return f"nothing scores {threshold} or more{guess}"
