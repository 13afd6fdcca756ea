"""Image folders of Hugging Face's `datasets`: a metadata.jsonl with one image and its objects in each line.

`{"file_name": "0001.png", "objects": {"bbox": [[302, 109, 73, 52]], "categories": [0]}}`, with boxes as in COCO
(https://huggingface.co/docs/datasets/image_dataset#object-detection).
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from ..errors import DataError
from ..text import decoded, lines_of, read_text, whole_number_in
from . import coco
from .boundary import Boundary
from .raw import RawDataSet, split_name

NAME = "metadata.jsonl"
_OBJECTS = ("objects", "annotations")
_BOXES = ("bbox", "bboxes", "boxes")
_CLASSES = (
    "categories", "category", "category_id", "labels", "label", "class", "classes", "class_labels", "class_label",
    "category_name", "name", "names",
)  # fmt: skip
_MORE = ("area", "iscrowd")
_IMAGES = ("file_name", "image_file_name", "image", "path")


def find(root: Path) -> list[Path]:
    """The files of a folder and of its split folders that have images with objects."""
    above = [root, *(folder for folder in _folders(root) if folder.name.lower() == "data")]
    below = [folder for one in above for folder in _folders(one) if split_name(folder.name)]
    files = [file for folder in (*above, *below) for file in folder.iterdir() if file.name.lower() == NAME]
    return [file for file in files if file.is_file() and _has_objects(file)]


def _folders(above: Path) -> list[Path]:
    return sorted(folder for folder in above.iterdir() if folder.is_dir())


def read(files: list[Path], root: Path, boundary: Boundary) -> RawDataSet:
    """Category ids are the numbers in the files, named by the README's `class_label` if it has one; classes that are
    given by name are numbered in alphabetical order. Raises DataError for a line that is not a JSON object."""
    rows: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for file in files:
        for row in _rows(file):
            name = str(_image(row) or "").replace("\\", "/")
            said = [row["split"]] if isinstance(row.get("split"), str) else []
            inside = (split_name(part) for part in (*said, *PurePosixPath(name).parts[:-1]))
            split = split_name(file.parent.name) if file.parent != root else None
            rows.setdefault(split or next(filter(None, inside), None) or "train", []).append((file, row))
    named = _names(root / "README.md") or _names(root.parent / "README.md")  # `root` can be one split
    for row in (row for found in rows.values() for _, row in found):  # text can be a number that is named
        row["objects"] = [(box, _number_in(value, named), more) for box, value, more in _objects(row)]
    used = {value for found in rows.values() for _, row in found for _, value, _ in row["objects"]}
    words = sorted({value for value in used if isinstance(value, str)})
    numbers = sorted({value for value in used if isinstance(value, int)} | named.keys())
    ids: dict[Any, int] = {number: number for number in numbers}
    first = max(numbers, default=-1) + 1
    ids |= {word: first + i for i, word in enumerate(words)}
    names = {number: named.get(number, f"class {number}") for number in numbers} | {ids[word]: word for word in words}
    if not names:
        raise DataError(f"{files[0]}: no object has a class. Write one for each as objects.categories")
    order: list[str] = [name for name in ("train", "valid", "test") if name in rows]
    contents = {name: (rows[name][0][0], _content(rows[name], ids, names)) for name in order}
    return coco.read_contents(contents, root, boundary, "imagefolder", own_ids=False)


def _content(rows: list[tuple[Path, dict[str, Any]]], ids: dict[Any, int], names: dict[int, str]) -> dict[str, Any]:
    images: list[Any] = []
    annotations: list[Any] = []
    for i, (_, row) in enumerate(rows, start=1):
        sides = {side: row.get(side) for side in ("width", "height")}
        images.append({"id": i, "file_name": _image(row), **sides})
        for box, value, more in row["objects"]:
            place = len(annotations) + 1
            annotations.append({"id": place, "image_id": i, "bbox": box, "category_id": ids.get(value), **more})
    categories = [{"id": id, "name": name} for id, name in names.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def _image(row: dict[str, Any]) -> Any:
    """The image's name; `image` can be a mapping with its path."""
    value = next((row[key] for key in _IMAGES if row.get(key)), None)
    return value.get("path") if isinstance(value, dict) else value


def _objects(row: dict[str, Any]) -> Iterator[tuple[Any, int | str | None, dict[str, Any]]]:
    """Box, class, and what else COCO has of each object: `objects` is a dict of lists, a dict of one object, or a list
    of dicts; or the row has the boxes itself."""
    objects = next((row[key] for key in _OBJECTS if isinstance(row.get(key), dict | list)), row)
    if isinstance(objects, dict):
        boxes, values = _first(objects, _BOXES), _first(objects, _CLASSES)
        if not isinstance(boxes, list):
            return
        if boxes and not isinstance(boxes[0], list | dict):  # one object
            boxes, values = [boxes], values if isinstance(values, list) else [values]
        values = values if isinstance(values, list) else []
        lists = {key: objects[key] for key in _MORE if isinstance(objects.get(key), list)}
        objects = [
            {"bbox": box, "category": values[i] if i < len(values) else None}
            | {key: found[i] for key, found in lists.items() if i < len(found)}
            for i, box in enumerate(boxes)
        ]
    for one in objects:
        if isinstance(one, dict):
            yield _first(one, _BOXES), _class(_first(one, _CLASSES)), {k: one[k] for k in _MORE if k in one}


def _first(found: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((found[key] for key in keys if key in found), None)


def _class(value: Any) -> int | str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _number_in(value: int | str | None, named: dict[int, str]) -> int | str | None:
    number = whole_number_in(value) if isinstance(value, str) else None
    return value if number is None or number not in named else number


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = lines_of(read_text(file))
    except (OSError, UnicodeDecodeError):
        raise DataError(f"{file}: not a readable text file") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise DataError(f"{file}: line {number} is not a JSON object")
        yield row


def _has_objects(file: Path) -> bool:
    """Whether one of the first lines has boxes: such folders are also used for classification."""
    with file.open("rb") as opened:
        head = decoded(opened.read(1 << 16), errors="replace")
    return any(f'"{key}"' in head for key in _BOXES)


def _names(readme: Path) -> dict[int, str]:
    """The names of the only `class_label` in a data set card's metadata."""
    try:
        _, head, _ = read_text(readme).split("---", 2)
        found = list(_class_labels(yaml.load(head, Loader=yaml.BaseLoader)))
        return {int(number): str(name) for number, name in found[0].items()} if len(found) == 1 else {}
    except (OSError, ValueError, yaml.YAMLError, AttributeError, RecursionError):
        return {}


def _class_labels(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        label = value.get("class_label")
        names = label.get("names") if isinstance(label, dict) else None
        if isinstance(names, dict | list):
            yield names if isinstance(names, dict) else {str(i): name for i, name in enumerate(names)}
        for below in value.values():
            yield from _class_labels(below)
    elif isinstance(value, list):
        for below in value:
            yield from _class_labels(below)
