"""Small labelled images, written in the layouts of many tools, and one line that says how a data set was read.

Image i is grey with the value i and has one object, whose place and class depend on i: the line counts an image as
right only if it has its own object, with all four edges, and where the classes are cat and dog, with its class.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from condetr.errors import DataError
from condetr.examining.examine import examine

W, H = 64, 48


def image(path: Path, i: int, size: tuple[int, int] = (W, H)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, i).save(path, "PNG")
    return path


def box(i: int) -> list[int]:
    """x, y, width, height."""
    return [4 + 5 * i, 6 + i, 12, 10]


def write(path: Path, content: Any, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_bytes(text.encode(encoding))
    return path


def coco(names: Sequence[str], first: int = 0, **changed: Any) -> dict[str, Any]:
    """COCO's content for images `first`, first + 1 …; `changed` is merged into every annotation."""
    numbers = range(first, first + len(names))
    return {
        "images": [{"id": i, "file_name": name, "width": W, "height": H} for i, name in zip(numbers, names)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1 + i % 2, "bbox": box(i), "area": 120, "iscrowd": 0, **changed}
            for i in numbers
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }


def line(i: int) -> str:
    """YOLO's line of image i."""
    x, y, w, h = box(i)
    return f"{i % 2} {(x + w / 2) / W} {(y + h / 2) / H} {w / W} {h / H}\n"


def voc(name: str, i: int, first: float = 0, size: bool = True) -> str:
    x, y, w, h = box(i)
    sides = f"<size><width>{W}</width><height>{H}</height><depth>3</depth></size>" if size else ""
    corners = "".join(
        f"<{key}>{value + first}</{key}>" for key, value in (("xmin", x), ("ymin", y), ("xmax", x + w), ("ymax", y + h))
    )
    return (
        f"<annotation><filename>{name}</filename>{sides}"
        f"<object><name>{('cat', 'dog')[i % 2]}</name><bndbox>{corners}</bndbox></object></annotation>"
    )


def outcome(path: Path) -> tuple[str, set[str]]:
    """`coco cat,dog train 3 valid 1`, with the number of images that have their own object in each split, and the
    names of the findings; `DataError: …` for a data set that is refused."""
    try:
        diagnosis = examine(path)
    except DataError as error:
        assert "\n" not in str(error)
        return f"DataError: {error}", set()
    data, parts = diagnosis.dataset, []
    for count in diagnosis.counts:
        right = 0
        for sample in data.splits.get(count.split, ()):
            i = int(np.asarray(Image.open(sample.path)).flat[0])
            x, y, w, h = box(i)
            expected = [x, y, x + w, y + h]
            boxes, labels = sample.truth.boxes.tolist(), sample.truth.labels.tolist()
            right += [[round(edge) for edge in one] for one in boxes] == [expected] and (
                labels == [i % 2] or data.categories.names != ("cat", "dog")
            )
        wrong = count.images - right
        parts.append(f"{count.split} {right}" + (f" (and {wrong} wrong)" if wrong else ""))
    names = ",".join(data.categories.name(label) for label in data.categories.real)
    return f"{data.format} {names} {' '.join(parts)}", {f.name for f in diagnosis.findings}


class Cases(dict[str, tuple[Callable[[Path], Path | None], str, set[str]]]):
    """Data sets by name: the function that writes one and may return its place, and the outcome and the findings that
    are expected."""

    def case(self, expected: str, *findings: str) -> Callable[[Any], Any]:
        """Adds the decorated function under its name."""

        def add(build: Any) -> Any:
            self[build.__name__.replace("_", " ")] = build, expected, set(findings)
            return build

        return add

    def check(self, name: str, folder: Path, unexpected: Iterable[str] = ()) -> None:
        """Write and read a data set: it has the findings that are expected, and those in `unexpected` only then."""
        build, expected, findings = self[name]
        root = folder / "set"
        root.mkdir()
        read, found = outcome(build(root) or root)
        if expected.startswith("DataError"):
            assert re.match(expected, read)
        else:
            assert (read, found & {*findings, *unexpected}) == (expected, findings)
