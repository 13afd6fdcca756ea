"""COCO JSON to raw labels: one file a split, whatever its ids start at, and one list of classes over all of them."""

import json
import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..types import Categories
from .defects import Finding
from .raw import RawDataSet, RawSplit, images, objects


def read(files: dict[str, Path], root: Path) -> RawDataSet:
    """Read one JSON file for each split name. Raises DataError for what is no COCO JSON or contradicts itself."""
    read = [_Reading(name, file, root) for name, file in files.items()]
    used = {category for one in read for category in one.used}
    categories, findings = _merge({_below(one.file, root): one.categories for one in read}, used, root)
    findings += [finding for one in read for finding in one.findings]
    return RawDataSet(root, "coco", categories, tuple(one.split() for one in read), tuple(findings))


def looks_like(file: Path) -> bool:
    """Whether the first kilobytes of a JSON file could open a COCO file with labels: cheap, and sure about the no."""
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            head = opened.read(4096)
    except OSError:
        return False
    words = ('"images"', '"annotations"', '"categories"', '"info"', '"licenses"', '"type"')
    return head.lstrip("\ufeff \t\r\n").startswith("{") and any(word in head for word in words)


@dataclass(frozen=True, slots=True)
class _Category:
    id: int
    name: str
    above: str  # the supercategory


@dataclass
class _Reading:
    """One file on its way to a RawSplit."""

    name: str
    file: Path
    root: Path
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        content = _load(self.file)
        self.categories = _categories(content.get("categories"), self.file)
        self.rows: list[tuple[int, Path, int, int]] = []
        self.row_of = self._images(_entries(content, "images", self.file))
        self.objects = self._annotations(_entries(content, "annotations", self.file))
        self.used = {row[1] for row in self.objects}

    def split(self) -> RawSplit:
        return RawSplit(self.name, self.file, images(self.rows), objects(self.objects, relative=False))

    def _images(self, entries: list[Any]) -> dict[int | str, int]:
        row_of: dict[int | str, int] = {}
        names: list[str] = []
        sizes: list[tuple[int, int]] = []
        for i, entry in enumerate(entries):
            key = _key(entry.get("id")) if isinstance(entry, dict) else None
            name = entry.get("file_name") if isinstance(entry, dict) else None
            if key is None or not isinstance(name, str) or not name.strip() or "\0" in name:
                self._find("malformed_entry", None, f"images[{i}] has no usable id and file_name")
            elif key in row_of:
                self._find("duplicate_image_id", key, f"images[{i}] ({name}) has the id of {names[row_of[key]]}")
            else:
                row_of[key] = len(names)
                names.append(name)
                sizes.append((_length(entry.get("width")), _length(entry.get("height"))))
        find = _finder(names, self.file, self.root, self.name)
        # words as ids (some exporters write the file's stem) are numbered anew: COCO results need numbers
        ids = list(row_of) if all(isinstance(key, int) for key in row_of) else range(1, len(names) + 1)
        self.rows = [(int(id), find(name), *size) for id, name, size in zip(ids, names, sizes)]
        return row_of

    def _annotations(self, entries: list[Any]) -> list[tuple[int, int, float, float, float, float, bool, float, int]]:
        rows = []
        seen: set[int] = set()
        row_of = self.row_of
        for i, entry in enumerate(entries):
            if not isinstance(entry, dict):
                self._find("malformed_entry", None, f"annotations[{i}] is no object")
                continue
            place = _whole(entry.get("id"))
            image, category = _key(entry.get("image_id")), _whole(entry.get("category_id"))
            try:
                x, y, w, h = map(float, entry["bbox"])
                area = float("nan" if entry.get("area") is None else entry["area"])
            except (KeyError, TypeError, ValueError, OverflowError):
                self._find("malformed_entry", place, f"annotations[{i}] has no bbox of four numbers (or no area)")
                continue
            if image is None or category is None:
                what = "image_id" if image is None else "category_id"
                self._find("malformed_entry", place, f"annotations[{i}] has no usable {what}")
                continue
            if place is not None:
                if place in seen:
                    self._find("duplicate_annotation_id", place, f"annotations[{i}] has the id of another")
                seen.add(place)
            row = row_of.get(image)
            if row is None:
                self._find("orphan_annotation", place, f"annotations[{i}] names image {image}, which is not there")
                continue
            crowd = entry.get("iscrowd") in (1, True, "1")
            rows.append((row, category, x, y, x + w, y + h, crowd, area, -1 if place is None else place))
        return rows

    def _find(self, name: str, id: int | str | None, detail: str) -> None:
        number = id if isinstance(id, int) else None
        self.findings.append(Finding(name, self.name, self.file.name, number, detail))


def _below(file: Path, root: Path) -> str:
    """`train/_annotations.coco.json`: every split's file may have the same name."""
    return str(file.relative_to(root)) if file.is_relative_to(root) else file.name


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"), object_hook=_lean)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise DataError(f"{file}: no valid JSON at {place} ({error.msg}). Is the file cut short?") from None
    except (ValueError, RecursionError, MemoryError) as error:  # no UTF-8, endless digits, brackets without end
        raise DataError(f"{file}: no valid JSON ({_one_line(error)})") from None
    if not isinstance(content, dict) or "images" not in content:
        raise DataError(f"{file}: no COCO JSON: it has no list 'images'")
    return content


def _lean(entry: dict[str, Any]) -> dict[str, Any]:
    """Polygons are nine tenths of COCO's file and of the memory it takes; they go as soon as they are parsed."""
    entry.pop("segmentation", None)
    return entry


def _entries(content: dict[str, Any], key: str, file: Path) -> list[Any]:
    entries = content.get(key)
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise DataError(f"{file}: '{key}' is no list")
    return entries


def _categories(entries: Any, file: Path) -> list[_Category]:
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{file}: no COCO JSON: it has no list 'categories'")
    found = []
    for i, entry in enumerate(entries):
        id = _whole(entry.get("id")) if isinstance(entry, dict) else None
        name = entry.get("name") if isinstance(entry, dict) else None
        if id is None or not isinstance(name, str | int | float) or not str(name).strip():
            raise DataError(f"{file}: categories[{i}] needs a whole number as id and a name")
        above = entry.get("supercategory")
        found.append(_Category(id, str(name).strip(), str(above).strip() if above is not None else ""))
    return found


def _merge(lists: dict[str, list[_Category]], used: set[int], root: Path) -> tuple[Categories, list[Finding]]:
    """One list over all splits, by id, in the order of the ids."""
    names: dict[int, str] = {}
    where: dict[int, str] = {}
    for file, categories in lists.items():
        for category in categories:
            if names.setdefault(category.id, category.name) != category.name:
                raise DataError(
                    f"{root}: category {category.id} is '{names[category.id]}' in {where[category.id]} "
                    f"and '{category.name}' in {file}. Give every split the same ids"
                )
            where.setdefault(category.id, file)
    every = [category for categories in lists.values() for category in categories]
    # Roboflow's exports open with a root that groups the others and labels nothing; a head must have no row for it
    if (
        0 not in used
        and 0 in names
        and any(category.above == names[0] and category.id != 0 for category in every)
        and all(category.above != names[0] for category in every if category.id == 0)
    ):
        del names[0]
    by_name: dict[str, int] = {}
    findings = []
    for id in sorted(names):
        first = by_name.setdefault(names[id], id)
        if first != id and where[first] != where[id]:
            raise DataError(
                f"{root}: '{names[id]}' is category {first} in {where[first]} and {id} in {where[id]}. "
                "Give every split the same ids"
            )
        if first != id:
            findings.append(Finding("same_name", "", where[id], id, f"'{names[id]}' is category {first} and {id}"))
    ids = tuple(sorted(names))
    return Categories(ids, tuple(names[id] for id in ids)), findings


class _finder:
    """The path of an image from its file_name: in the folder, of the usual ones, that has the most of them."""

    def __init__(self, names: list[str], file: Path, root: Path, split: str) -> None:
        here, word = file.parent, file.stem.split("_")[-1]
        folders = [here, here / "images", here / "data", here / "JPEGImages"]
        for base in dict.fromkeys((root, here, here.parent)):
            folders += [base / word, base / "images" / word, base / split, base / "images" / split, base / "images"]
            if split == "valid":
                folders += [base / "val", base / "images" / "val", base / "validation"]
            folders.append(base)
        some = names[:: max(1, len(names) // 50)][:50]
        self.spelling: dict[Path, dict[str, str]] = {}
        there = {folder: sum(_is_file(folder, name) for name in some) for folder in dict.fromkeys(folders)}
        if not any(there.values()):
            there = {folder: sum(_is_file(folder, self._spelled(folder, name)) for name in some) for folder in there}
        self.folder = max(there, key=lambda folder: there[folder], default=here)
        self.found = bool(there) and there[self.folder] > 0

    def __call__(self, name: str) -> Path:
        if "\\" in name:  # written on Windows
            name = name.replace("\\", "/")
        if not self.found and "/" in name:  # a path of the machine where it was labelled
            name = name.rsplit("/", 1)[1] if _is_file(self.folder, name.rsplit("/", 1)[1]) else name
        return self.folder / self._spelled(self.folder, name)

    def _spelled(self, folder: Path, name: str) -> str:
        """The name as the disk has it: `a.jpg` may be `a.JPG` where labels come from Windows, `é` one sign or two."""
        above, _, word = name.replace("\\", "/").rpartition("/")
        place = folder / above
        if place not in self.spelling:
            try:
                names = os.listdir(place)
            except (OSError, ValueError):
                names = []
            self.spelling[place] = {_plain(one): one for one in names} | {one: one for one in names}
        found = self.spelling[place].get(word) or self.spelling[place].get(_plain(word), word)
        return f"{above}/{found}" if above else found


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_file(folder: Path, name: str) -> bool:
    try:
        return (folder / name.replace("\\", "/")).is_file()
    except (OSError, ValueError):
        return False


def _key(value: Any) -> int | str | None:
    whole = _whole(value)
    return value if whole is None and isinstance(value, str) and value else whole


def _whole(value: Any) -> int | None:
    """A whole number that fits 64 bits, also when written as 7.0 or "7"."""
    if isinstance(value, str | float) and not isinstance(value, bool):
        try:
            number = float(value) if isinstance(value, float) else int(value)
            value = int(number) if number == int(number) else None
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) < 2**63 else None


def _length(value: Any) -> int:
    whole = _whole(value)
    return whole if whole is not None and 0 < whole < 2**31 else 0


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
