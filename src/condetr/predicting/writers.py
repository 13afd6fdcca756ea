"""One class for each output format: annotated images, COCO results, JSON lines, CSV; a frame of a video is an image."""

import csv
import io
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

from PIL import Image

from ..detections import Detections, draw
from ..files import replacing, safe_name
from ..types import Categories
from .sources import Found, Opened

FIRST_NUMBER = 1_000_000_001  # image ids from here on are running numbers, beyond those that file names carry
COLUMNS = ("file", "width", "height", "category_id", "category", "score", "x1", "y1", "x2", "y2", "frame", "time")


class Writer(ABC):
    @abstractmethod
    def write(self, image: Opened, detections: Detections) -> None: ...

    def skip(self, name: str, reason: str) -> None:  # noqa: B027
        """Record an image that could not be read, in formats that have a place for it."""

    def wrote(self, path: Path) -> bool:
        """Whether a file in its folder of images or videos is one of this run."""
        return False


class DrawnImages(Writer):
    """Each image with its boxes, as JPEG, or as PNG if it was one, in the same folders as the images."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: set[str] = set()

    def write(self, image: Opened, detections: Detections) -> None:
        if image.frame is not None:
            return
        path = self._path(image.found)
        content = io.BytesIO()
        drawn = Image.fromarray(draw(image.read(), detections))
        if path.suffix.lower() == ".png":
            drawn.save(content, "PNG", compress_level=3)
        else:
            drawn.save(content, "JPEG", quality=92, subsampling=0)
        with replacing(path) as part:
            part.write_bytes(content.getbuffer())

    def wrote(self, path: Path) -> bool:
        return path.is_relative_to(self.folder) and path.relative_to(self.folder).as_posix().casefold() in self.taken

    def _path(self, found: Found) -> Path:
        """A path inside the folder that no other image of this run has, and that is not the image itself."""
        *folders, name = [safe_name(part) for part in found.relative.parts] or ["image"]
        suffix = "" if name.lower().endswith((".jpg", ".jpeg", ".png")) else ".jpg"
        stem, _, ending = name.rpartition(".") if not suffix else (name, "", "")
        number, candidate = 1, name + suffix
        while (key := "/".join((*folders, candidate)).casefold()) in self.taken or self._is_source(
            self.folder.joinpath(*folders, candidate), found
        ):
            number += 1
            candidate = f"{stem}-{number}.{ending}" if ending else f"{stem}-{number}{suffix}"
        self.taken.add(key)
        return self.folder.joinpath(*folders, candidate)

    @staticmethod
    def _is_source(path: Path, found: Found) -> bool:
        return isinstance(found.location, Path) and path.exists() and path.samefile(found.location)


class Coco(Writer):
    """`coco.json`: COCO results, one list. `coco_images.json`: the file of each image id, and the categories.

    The image id is the number in the file's name (000000039769.jpg: 39769), else a running number from 1000000001. A
    data set can number the same images differently, so every result also has the `file_name`.
    """

    def __init__(self, results: io.TextIOBase, images: io.TextIOBase) -> None:
        self.results, self.images = results, images
        self.taken: set[int] = set()
        self.next = FIRST_NUMBER
        self.comma = {results: "", images: ""}

    @classmethod
    @contextmanager
    def open(cls, results: io.TextIOBase, images: io.TextIOBase, categories: Categories) -> Iterator["Coco"]:
        results.write("[")
        images.write('{"images": [')
        try:
            yield cls(results, images)
        finally:
            results.write("\n]\n")
            named = [{"id": categories.ids[label], "name": categories.name(label)} for label in categories.real]
            images.write(f'\n],\n"categories": {json.dumps(named)}}}\n')

    def write(self, image: Opened, detections: Detections) -> None:
        id = self._id(image)
        width, height = detections.size
        name = {"file_name": image.found.name, **image.place()}
        self._item(self.images, {"id": id, **name, "width": width, "height": height})
        for result in detections.to_coco(id):
            self._item(self.results, {**result, **name})

    def _item(self, file: io.TextIOBase, values: dict) -> None:
        file.write(f"{self.comma[file]}\n{json.dumps(values)}")
        self.comma[file] = ","

    def _id(self, image: Opened) -> int:
        stem = PurePosixPath(image.found.relative.name).stem if image.frame is None else ""
        id = int(stem) if re.fullmatch(r"[0-9]{1,15}", stem) else self.next
        if id in self.taken or id >= FIRST_NUMBER:
            id = self.next
        self.next += id == self.next
        self.taken.add(id)
        return id


@runtime_checkable
class TextStream(Protocol):
    """What lines are written to: a file, or standard output."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...


class JsonLines(Writer):
    """`predictions.jsonl`: an object for each image or frame, with its detections or with the reason why it was
    skipped."""

    def __init__(self, file: TextStream) -> None:
        self.file = file

    def write(self, image: Opened, detections: Detections) -> None:
        width, height = detections.size
        objects = [
            {"category_id": id, "category": name, "score": round(score, 6), "box": [round(x, 3) for x in box]}
            for id, name, score, box in rows(detections)
        ]
        self._line({"file": image.found.name, **image.place(), "width": width, "height": height, "detections": objects})

    def skip(self, name: str, reason: str) -> None:
        self._line({"file": name, "error": reason})

    def _line(self, values: dict) -> None:
        self.file.write(json.dumps(values) + "\n")
        self.file.flush()


class Csv(Writer):
    """`predictions.csv`: a line for each detection. A text that a spreadsheet would execute as a formula starts with
    '."""

    def __init__(self, file: io.TextIOBase) -> None:
        self.file, self.rows = file, csv.writer(file)  # RFC 4180: lines end with CR LF
        self.rows.writerow(COLUMNS)

    def write(self, image: Opened, detections: Detections) -> None:
        size, place = detections.size, image.place()
        for id, name, score, box in rows(detections):
            corners = (f"{x:.3f}" for x in box)
            row = (_no_formula(image.found.name), *size, id, _no_formula(name), f"{score:.6f}", *corners)
            self.rows.writerow((*row, place.get("frame", ""), place.get("time", "")))
        self.file.flush()


def rows(detections: Detections) -> Iterator[tuple[int, str, float, list[float]]]:
    scores, boxes = detections.scores.astype(float).tolist(), detections.boxes.astype(float).tolist()
    yield from zip(detections.category_ids, detections.names, scores, boxes)


def _no_formula(text: str) -> str:
    """OWASP, CSV injection: cells that begin so are formulas to Excel, LibreOffice and Google Sheets."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "'")) else text
