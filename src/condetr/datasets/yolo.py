"""YOLO to raw labels: from a YAML file with names and splits, or a file of names and the usual folders."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ..errors import DataError
from ..home import with_home
from ..text import lines_of, read_text, whole_number_in
from ..types import Categories
from . import yolo_folders
from .boundary import Boundary
from .defects import Finding
from .disk_names import DiskNames
from .raw import RawDataSet, folder_split
from .yolo_files import SPLIT_KEYS, expanded, locate, orphans
from .yolo_labels import interpreted, read_split
from .yolo_names import TextLoader, names_of, names_of_lines

_USUAL = ("data", "dataset")
_KEYS = {"names", "nc"}
_POSES = {"kpt_shape", "flip_idx", "kpt_names"}  # keys of a pose data set
_ESCAPED = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v"}


def find(root: Path) -> Path | None:
    """The YAML file of a YOLO folder: other tools write a `data.yaml` too, but without names. Raises DataError if there
    are several and none has a usual name."""
    files = [file for file in sorted(root.iterdir()) if file.suffix.lower() in (".yaml", ".yml") and file.is_file()]
    named = [file for file in files if _has_names(file)]
    if usual := next(
        (file for file in files if file.stem.lower() in _USUAL and (file in named or not _is_valid(file))), None
    ):
        return usual  # if it is broken, `read` reports where
    if len(named) > 1:
        some = ", ".join(file.name for file in named[:5])
        raise DataError(f"{root}: which data set? Give one of the files: {some}")
    return named[0] if named else None


def refuse_nameless(root: Path) -> None:
    """Raise DataError for a folder whose `data.yaml` has no names."""
    for file in (root / f"{stem}{suffix}" for stem in _USUAL for suffix in (".yaml", ".yml")):
        if file.is_file():
            _load(file)


def _has_names(file: Path) -> bool:
    return _is_valid(file) and not _KEYS.isdisjoint(_parse(file) or ())


def _is_valid(file: Path) -> bool:
    try:
        return isinstance(_parse(file), dict | None)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        return False


def read_by_names(file: Path, root: Path, boundary: Boundary) -> RawDataSet:
    """Read a folder whose classes are in `file`, as found by `find_names`."""
    categories = _class_names(file)
    findings = _repeated(categories, file)
    used: dict[Path, str] = {}
    read = [
        read_split(name, [folder], root, boundary, findings, used, deep=folder != root)
        for name, folder in yolo_folders.places(root).items()
    ]
    splits = interpreted(read, findings)
    for other in (folder / file.name for folder in yolo_folders.name_folders(root)):
        if other != file and other.is_file() and not _agree(categories, _class_names(other)):
            raise DataError(f"{root}: the classes in {file} and {other} differ, so the numbers in the labels do too")
    return RawDataSet(root, "yolo", categories, tuple(splits), (*findings, *orphans(used)))


def _repeated(categories: Categories, file: Path) -> list[Finding]:
    """A finding for each class whose name an earlier one has."""
    first: dict[str | None, int] = {}
    return [
        Finding("same_name", "", file, id, f"'{name}' is class {first[name]} and {id}", "category")
        for id, name in zip(categories.ids, categories.names)
        if first.setdefault(name, id) != id
    ]


def _agree(one: Categories, other: Categories) -> bool:
    """Whether two lists of classes give the same numbers to the same names, as far as both go."""
    return all(a == b for a, b in zip(one.names, other.names))


def read(file: Path, boundary: Boundary, *, own_path: bool = False) -> RawDataSet:
    """Read a YOLO data set from its YAML file. Category ids are YOLO's class numbers.

    With `own_path` the folder that the file names as `path` belongs to the data set: the user chose this file. If its
    paths are relative to the current folder, that folder belongs to the data set too.
    """
    content = _load(file)
    categories = _names(content, file, boundary)
    findings = _repeated(categories, file)
    classes = whole_number_in(str(content.get("nc", "")))
    if classes is not None and classes != len(categories):
        detail = f"nc is {classes}, but there are {len(categories)} names: the names count"
        findings.append(Finding("malformed_entry", "", file, None, detail))
    base = file.parent
    starts = [file.parent]
    if isinstance(content.get("path"), str) and content["path"]:
        given = with_home(content["path"])
        below = base / given
        if file.parent.absolute().parts[-len(given.parts) :] == given.parts:
            starts.append(file.parent.absolute().parents[len(given.parts) - 1])  # entries repeat the path
        current = _below_current(content["path"])
        if below.is_dir():
            base = below
            boundary = boundary.with_folder(below) if own_path else boundary
        elif current is not None and current.is_dir():
            base = current
            boundary = boundary.with_folder(Path.cwd())
    splits = []
    used: dict[Path, str] = {}
    keypoints = not _POSES.isdisjoint(content)
    disk = DiskNames()
    for name, keys in SPLIT_KEYS.items():
        entries = next((content[key] for key in (*keys, *_alike(content, name)) if content.get(key)), None)
        if entries is None:
            continue
        wanted = list(_entries(entries, content.get("path")))
        if not all(isinstance(entry, str) for entry in wanted):
            raise DataError(f"{file}: {name}: not a path, nor a list of paths")
        found = []
        for entry in expanded(wanted, (base, *starts), boundary, disk):
            place = locate(entry, (base, *starts), boundary, disk)
            inside = place is not None and boundary.contains_folder(place if place.is_dir() else place.parent)
            if not inside and (current := _below_current(entry)):
                place, boundary = current, boundary.with_folder(Path.cwd())
            if place is None:
                findings.append(Finding("malformed_entry", name, file, None, f"{name}: {entry} not found"))
            elif not boundary.contains_folder(place if place.is_dir() else place.parent):
                findings.append(Finding("outside_folder", name, file, None, f"{name}: {place}"))
            else:
                found.append(place)
        if found:
            splits.append(read_split(name, found, base, boundary, findings, used))
    if not any(content.get(key) for name, keys in SPLIT_KEYS.items() for key in (*keys, *_alike(content, name))):
        splits = [
            read_split(name, [place], base, boundary, findings, used, deep=place != base)
            for name, place in yolo_folders.places(base).items()
        ]
    if not splits and (outside := next((f.detail for f in findings if f.name == "outside_folder"), None)):
        raise DataError(
            f"{file}: all splits are outside the data set's folder ({outside}). Permit it with `follow_outside=True`"
        )
    if not splits:
        raise DataError(f"{file}: none of its splits was found. Check 'path', 'train' and 'val' (relative to {base})")
    raw = interpreted(splits, findings, keypoints=keypoints)
    return RawDataSet(file.parent, "yolo", categories, tuple(raw), (*findings, *orphans(used)))


def _alike(content: dict[str, Any], split: str) -> list[str]:
    """Other keys of a split with a path, such as `train_path`, `val_images` and `dev`."""
    words = {key: key.removesuffix("_path").removesuffix("_dir") for key in content}
    return [key for key, word in words.items() if folder_split(word) == split and not _is_number(content[key])]


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and value.replace(".", "", 1).isdecimal()


def _entries(given: Any, path: Any) -> Iterator[Any]:
    """The entries of a split, also of lists in a list. An entry can repeat an absolute `path` that is not here; and an
    escape in double quotes, as in "images\\train", has become a control character."""
    above = path.replace("\\", "/").rstrip("/") + "/" if isinstance(path, str) else "/"
    for one in _flat(given, set()):
        if not isinstance(one, str):
            yield one
            continue
        entry = "".join(_ESCAPED.get(sign, sign) for sign in one.rstrip("\r\n"))
        if len(above) > 1 and entry.replace("\\", "/").startswith(above) and not Path(entry).exists():
            entry = entry[len(above) :]
        yield entry.strip()


def _flat(given: Any, seen: set[int]) -> Iterator[Any]:
    """What is in lists of lists, each list once: YAML's aliases can repeat one millions of times."""
    if not isinstance(given, list):
        yield given
    elif id(given) not in seen:
        seen.add(id(given))
        for one in given:
            yield from _flat(one, seen)


def _below_current(entry: str) -> Path | None:
    """The file or folder that a relative entry names below the current folder, as ultralytics and YOLOv5 resolve it."""
    given = Path(entry.replace("\\", "/"))
    if given.is_absolute() or ".." in given.parts or not given.parts:
        return None
    try:
        place = Path.cwd() / given
        return place if place.exists() else None
    except (OSError, ValueError):
        return None


def _class_names(file: Path) -> Categories:
    """The classes of a file with one name in each line."""
    try:
        lines = lines_of(read_text(file))
    except (OSError, UnicodeDecodeError):
        raise DataError(f"{file}: not a readable text file. Write one class name in each line, as UTF-8") from None
    names = names_of_lines(lines)
    if not names:
        raise DataError(f"{file}: contains no names. Write one class name in each line")
    if "" in names:
        raise DataError(f"{file}: line {names.index('') + 1} is empty, but every line is a class")
    return Categories(tuple(range(len(names))), tuple(names))


def _load(file: Path) -> dict[str, Any]:
    try:
        content = _parse(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text (byte {error.start}). Save it as UTF-8") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        at = f" at line {mark.line + 1}" if mark is not None else ""
        if "escape character" in str(error):
            raise DataError(f"{file}: invalid YAML{at}: a \\ in double quotes. Write / in its place") from None
        reason = " ".join(str(getattr(error, "problem", None) or error).split())[:100]
        raise DataError(f"{file}: invalid YAML{at} ({reason})") from None
    if not isinstance(content, dict) or _KEYS.isdisjoint(content):
        raise DataError(f"{file}: not a YOLO data set: it has no 'names'")
    return _without_nulls(content)


def _parse(file: Path) -> Any:
    """The content with every value as text, as it is written: YAML would read the class names `no`, `001` and `12:30`
    as false, 1 and 750. Keys become lower case."""
    content = yaml.load(read_text(file), Loader=TextLoader)
    return {str(key).lower(): content[key] for key in reversed(content)} if isinstance(content, dict) else content


def _without_nulls(content: dict[str, Any]) -> dict[str, Any]:
    """The content without the keys whose value YAML reads as null: `test: null` and `path: ~` say nothing."""
    return {key: value for key, value in content.items() if value not in ("~", "null", "Null", "NULL")}


def _names(content: dict[str, Any], file: Path, boundary: Boundary) -> Categories:
    given = next((content[key] for key in ("names", "classes", "class_names", "nc") if content.get(key)), None)
    if isinstance(given, str) and given and not given.isdecimal():  # a file, as in Darknet's obj.data
        starts = (file.parent, file.parent / str(content.get("path") or ""))
        place = locate(given, starts, boundary, DiskNames())
        if place is not None and place.is_file() and boundary.contains(place):
            return _class_names(place)
    names = names_of(given, file, alone=content.get("nc") == "1")
    return Categories(tuple(sorted(names)), tuple(names[id] for id in sorted(names)))
