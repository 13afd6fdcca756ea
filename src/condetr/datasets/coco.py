"""COCO JSON to raw labels: one file for each split, and one list of classes over all splits."""

import codecs
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..image_keys import Key, key_of
from ..text import decoded
from ..types import Categories
from .boundary import Boundary
from .coco_boxes import are_fractions, look_like_corners
from .coco_images import ImageFinder
from .coco_masks import box_around
from .defects import Finding, IdOf
from .raw import RawDataSet, RawSplit, images, objects


def read(files: dict[str, Path], root: Path, boundary: Boundary) -> RawDataSet:
    """Read one JSON file for each split. Raises DataError for invalid JSON and contradictions between splits."""
    contents = {name: (file, _load(file)) for name, file in files.items()}
    return read_contents(contents, root, boundary, "coco", own_ids=True)


def read_contents(
    contents: dict[str, tuple[Path, dict[str, Any]]], root: Path, boundary: Boundary, format: str, *, own_ids: bool
) -> RawDataSet:
    """From what is in the file of each split, in COCO's form; without `own_ids` images are known by their files' names.

    Raises DataError for contradictions between splits.
    """
    splits = [_Split(name, file, content, root, boundary, own_ids) for name, (file, content) in contents.items()]
    used = {category for split in splits for category in split.used}
    categories, findings = _merge({_relative(split.file, root): split.categories for split in splits}, used, root)
    findings += [finding for split in splits for finding in split.findings]
    return RawDataSet(root, format, categories, tuple(split.raw() for split in splits), tuple(findings))


def looks_like(file: Path) -> bool:
    """Whether a file is a JSON object with a key "images" somewhere. False is certain, True is not."""
    try:
        with file.open("rb") as opened:
            head = opened.read(4096)
            if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return re.search(r'"images"\s*:', decoded(head + opened.read(), errors="replace")) is not None
            if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
                return False
            while head:
                if re.search(rb'"images"\s*:', head):
                    return True
                head = head[-64:] + chunk if (chunk := opened.read(1 << 20)) else b""
    except OSError:
        pass
    return False


@dataclass(frozen=True, slots=True)
class _Category:
    id: int
    name: str
    parent: str  # the supercategory


@dataclass
class _Split:
    """One file as it becomes a RawSplit."""

    name: str
    file: Path
    content: dict[str, Any]
    root: Path
    boundary: Boundary
    own_ids: bool
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        content = self.content
        self.categories = _categories(content.get("categories"), self.file)
        self.rows: list[tuple[int, Path, int, int]] = []
        self.row_of = self._images(_entries(content, "images", self.file))
        self.objects = self._annotations(_entries(content, "annotations", self.file))
        self.used = {row[1] for row in self.objects}
        self.relative = are_fractions(self.objects)
        if self.relative:
            self._find("fraction_boxes", None, f"all {len(self.objects)} boxes lie between 0 and 1")
        elif look_like_corners(self.objects, [row[2:4] for row in self.rows]):
            self._find("corner_boxes", None, "read as x1, y1, x2, y2, all boxes would lie in their images")

    def raw(self) -> RawSplit:
        rows = images(
            self.rows, [self.file] * len(self.rows), self.boundary, list(self.row_of) if self.own_ids else None
        )
        found = objects(self.objects, "annotation", relative=self.relative)
        if self.relative:  # so are the areas
            found = replace(found, areas=np.full(len(found.areas), np.nan))
        return RawSplit(self.name, self.file, rows, found)

    def _images(self, entries: list[Any]) -> dict[Key, int]:
        row_of: dict[Key, int] = {}
        names: list[str] = []
        sizes: list[tuple[int, int]] = []
        for i, entry in enumerate(entries):
            key = key_of(entry.get("id")) if isinstance(entry, dict) else None
            name = entry.get("file_name") if isinstance(entry, dict) else None
            name = str(name) if _whole(name) is not None else name
            if key is None or not isinstance(name, str) or not name.strip() or "\0" in name:
                self._find("malformed_entry", None, f"images[{i}] has no valid id or file_name")
            elif key in row_of:
                self._find(
                    "duplicate_image_id", key, f"images[{i}] ({name}) has the id of {names[row_of[key]]}", "image"
                )
            else:
                row_of[key] = len(names)
                names.append(name)
                sizes.append((_length(entry.get("width")), _length(entry.get("height"))))
        find = ImageFinder(names, self.file, self.root, self.name, self.boundary)
        # ids that are text (some exporters write the file's stem) are replaced by numbers, which COCO results need
        ids = list(row_of) if all(isinstance(key, int) for key in row_of) else range(1, len(names) + 1)
        self.rows = [(int(id), find(name), *size) for id, name, size in zip(ids, names, sizes)]
        first: dict[Path, int] = {}
        for id, path, *_ in self.rows:
            if first.setdefault(path, id) != id:
                self.findings.append(Finding("shared_file", self.name, path, id, f"also of image {first[path]}"))
        return row_of

    def _annotations(self, entries: list[Any]) -> list[tuple[int, int, float, float, float, float, bool, float, int]]:
        rows = []
        seen: set[int] = set()
        row_of = self.row_of
        around = 0
        for i, entry in enumerate(entries):
            if not isinstance(entry, dict):
                self._find("malformed_entry", None, f"annotations[{i}] is not an object")
                continue
            place = _whole(entry.get("id"))
            image, category = key_of(entry.get("image_id")), _whole(entry.get("category_id"))
            try:
                around += "around" in entry
                x, y, w, h = map(float, entry["around"] if "around" in entry else entry["bbox"])
            except (KeyError, TypeError, ValueError, OverflowError):
                self._find("malformed_entry", place, f"annotations[{i}] has no bbox of four numbers")
                continue
            if image is None or category is None:
                what = "image_id" if image is None else "category_id"
                self._find("malformed_entry", place, f"annotations[{i}] has no valid {what}")
                continue
            if place is not None:
                if place in seen:
                    self._find("duplicate_annotation_id", place, f"annotations[{i}] has the id of another")
                seen.add(place)
            row = row_of.get(image)
            if row is None:
                self._find("orphan_annotation", place, f"annotations[{i}]: image {image} is not listed")
                continue
            crowd, area = entry.get("iscrowd") in (1, True, "1"), _float(entry.get("area"))
            rows.append((row, category, x, y, x + w, y + h, crowd, area, -1 if place is None else place))
        if around:
            self._find("mask_boxes", None, f"{around} objects have a segmentation and no box")
        return rows

    def _find(self, name: str, id: Key | None, detail: str, id_of: IdOf = "annotation") -> None:
        self.findings.append(Finding(name, self.name, self.file, id, detail, id_of))


def _relative(file: Path, root: Path) -> str:
    """`train/_annotations.coco.json`: the files of all splits can have the same name."""
    return str(file.relative_to(root)) if file.is_relative_to(root) else file.name


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(decoded(file.read_bytes()), object_hook=_without_segmentation)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise DataError(f"{file}: invalid JSON at {place} ({error.msg}). Is the file truncated?") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: invalid JSON: not UTF-8 text (byte {error.start}). Save it as UTF-8") from None
    except (ValueError, RecursionError, MemoryError) as error:  # huge numbers, deep nesting
        raise DataError(f"{file}: invalid JSON ({_one_line(error)})") from None
    if not isinstance(content, dict) or "images" not in content:
        raise DataError(f"{file}: not a COCO file: it has no list 'images'")
    return content


def _without_segmentation(entry: dict[str, Any]) -> dict[str, Any]:
    """Polygons are nine tenths of COCO's file and of its memory; they are dropped as soon as they are parsed. An object
    without a box gets the box around them as `around`."""
    segmentation = entry.pop("segmentation", None)
    if segmentation and entry.get("bbox") in (None, [], [0, 0, 0, 0]):
        box = box_around(segmentation)
        if box is not None:
            entry["around"] = box
    return entry


def _entries(content: dict[str, Any], key: str, file: Path) -> list[Any]:
    entries = content.get(key)
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise DataError(f"{file}: '{key}' is not a list")
    return entries


def _categories(entries: Any, file: Path) -> list[_Category]:
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{file}: not a COCO file: it has no list 'categories'")
    found = []
    for i, entry in enumerate(entries):
        id = _whole(entry.get("id")) if isinstance(entry, dict) else None
        name = entry.get("name") if isinstance(entry, dict) else None
        if id is None or not isinstance(name, str | int | float) or not str(name).strip():
            raise DataError(f"{file}: categories[{i}] needs an integer id and a name")
        parent = entry.get("supercategory")
        found.append(_Category(id, str(name).strip(), str(parent).strip() if parent is not None else ""))
    return found


def _merge(lists: dict[str, list[_Category]], used: set[int], root: Path) -> tuple[Categories, list[Finding]]:
    """One list over all splits, in the order of the ids."""
    names: dict[int, str] = {}
    where: dict[int, str] = {}
    for file, categories in lists.items():
        for category in categories:
            if names.setdefault(category.id, category.name) != category.name:
                raise DataError(
                    f"{root}: category {category.id} is '{names[category.id]}' in {where[category.id]} "
                    f"and '{category.name}' in {file}. Use the same ids in every split"
                )
            where.setdefault(category.id, file)
    every = [category for categories in lists.values() for category in categories]
    # Roboflow's exports start with a root category that groups the others and labels nothing: it is not a class
    if (
        0 not in used
        and 0 in names
        and any(category.parent == names[0] and category.id != 0 for category in every)
        and all(category.parent != names[0] for category in every if category.id == 0)
    ):
        del names[0]
    by_name: dict[str, int] = {}
    findings = []
    for id in sorted(names):
        first = by_name.setdefault(names[id], id)
        if first != id and where[first] != where[id]:
            raise DataError(
                f"{root}: '{names[id]}' is category {first} in {where[first]} and {id} in {where[id]}. "
                "Use the same ids in every split"
            )
        if first != id:
            findings.append(
                Finding(
                    "same_name", "", root / where[id], id, f"'{names[id]}' is category {first} and {id}", "category"
                )
            )
    ids = tuple(sorted(names))
    return Categories(ids, tuple(names[id] for id in ids)), findings


def _whole(value: Any) -> int | None:
    """An integer that fits into 64 bits, also when written as 7.0 or "7"."""
    if isinstance(value, str | float) and not isinstance(value, bool):
        try:
            number = float(value) if isinstance(value, float) else int(value)
            value = int(number) if number == int(number) else None
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) < 2**63 else None


def _float(value: Any) -> float:
    """NaN for everything that is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _length(value: Any) -> int:
    whole = _whole(value)
    return whole if whole is not None and 0 < whole < 2**31 else 0


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
