"""YOLO to raw labels: a YAML file with names and splits; a line of text an object, in fractions of the picture."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from ..errors import DataError
from ..types import Categories
from .defects import Finding
from .pictures import SUFFIXES
from .raw import RawDataSet, RawSplit, objects, pictures

_KEYS = {"train": ("train",), "valid": ("val", "valid", "validation"), "test": ("test",)}


def find(root: Path) -> Path | None:
    """The YAML file of a YOLO folder. Raises DataError where there are labels but no such file."""
    files = [file for file in sorted(root.iterdir()) if file.suffix.lower() in (".yaml", ".yml") and file.is_file()]
    usual = [file for file in files if file.stem in ("data", "dataset")]
    for file in usual or files:
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
            content = None  # broken: reading it says where, if it is the one meant
        if file in usual or (isinstance(content, dict) and "names" in content):
            return file
    for folder in (root / "labels", root / "labels" / "train", root / "train" / "labels"):
        if next(folder.glob("*.txt"), None) is not None:
            raise DataError(
                f"{root}: looks like YOLO ({folder}/*.txt) but has no data.yaml. Write one with names, train, val"
            )
    return None


def read(file: Path) -> RawDataSet:
    """Read a YOLO data set from its YAML file. A category's number is its YOLO number."""
    content = _load(file)
    categories = _names(content, file)
    base = file.parent
    if isinstance(content.get("path"), str):
        below = base / Path(content["path"]).expanduser()
        base = below if below.is_dir() else base
    findings: list[Finding] = []
    splits = []
    for name, keys in _KEYS.items():
        given = next((content[key] for key in keys if content.get(key)), None)
        if given is None:
            continue
        wanted = given if isinstance(given, list) else [given]
        if not all(isinstance(entry, str) for entry in wanted):
            raise DataError(f"{file}: {name}: not a path, nor a list of paths")
        places = [_place(entry, (base, file.parent)) for entry in wanted]
        for entry, place in zip(wanted, places):
            if place is None:
                findings.append(Finding("malformed_entry", name, file.name, None, f"{name}: {entry} is not there"))
        found = [place for place in places if place is not None]
        if found:
            splits.append(_split(name, found, base, "kpt_shape" in content, findings))
    if not splits:
        raise DataError(f"{file}: none of its splits is there. Check 'path', 'train' and 'val' (seen from {base})")
    return RawDataSet(file.parent, "yolo", categories, tuple(splits), tuple(findings))


def _load(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        at = f" at line {mark.line + 1}" if mark is not None else ""
        raise DataError(f"{file}: no valid YAML{at} ({' '.join(str(error).split())[:100]})") from None
    if not isinstance(content, dict) or not ("names" in content or "nc" in content):
        raise DataError(f"{file}: no YOLO data set: it has no 'names'")
    return content


def _names(content: dict[str, Any], file: Path) -> Categories:
    given = content.get("names", content.get("nc"))
    if isinstance(given, int) and not isinstance(given, bool) and 0 < given < 100_000:
        given = [f"class {i}" for i in range(given)]
    if isinstance(given, list) and given:
        given = dict(enumerate(given))
    if not isinstance(given, dict) or not given:
        raise DataError(f"{file}: 'names' must be a list of class names, or number: name")
    names: dict[int, str] = {}
    for key, name in given.items():
        if not str(key).isdecimal() or not isinstance(name, str | int | float) or len(str(key)) > 9:
            raise DataError(f"{file}: names: the entry {str(key)[:40]!r} is no class (number: name)")
        names[int(key)] = str(name)
    return Categories(tuple(sorted(names)), tuple(names[id] for id in sorted(names)))


def _place(entry: str, starts: tuple[Path, ...]) -> Path | None:
    """Where an entry points, seen from any of `starts`; None where nothing is there.

    Roboflow writes `../train/images` for what lies beside the file. A path of another machine
    (`/content/birds/train/images`, `C:\\birds\\train\\images`) is looked for by its last words, two at least.
    """
    words = PurePosixPath(entry.replace("\\", "/")).parts
    words = words[next((i for i, word in enumerate(words) if word != ".."), 0) :]
    ends = [Path(*words[i:]) for i in range(max(1, len(words) - 1))]
    for start in dict.fromkeys(starts):
        for end in (Path(entry), *ends):
            try:
                if (start / end).exists():
                    return start / end
            except (OSError, ValueError):
                continue
    return None


def _split(name: str, places: list[Path], base: Path, keypoints: bool, findings: list[Finding]) -> RawSplit:
    """With `keypoints` (a pose data set) a line is class, box and points, else class and box or class and polygon."""
    paths = list(dict.fromkeys(path for place in places for path in _pictures(place, base)))
    picture_rows, object_rows, used = [], [], set()
    for row, path in enumerate(paths):
        picture_rows.append((row + 1, path, 0, 0))
        labels = _labels(path)
        used.add(labels)
        for line, numbers in _lines(labels, name, findings):
            category, box = int(numbers[0]), _box(numbers[1:5] if keypoints else numbers[1:])
            object_rows.append((row, category, *box, False, float("nan"), line))
    folders = {path.parent for path in used if "labels" in map(str.lower, path.parts)}
    for folder in sorted(folders):
        for stray in sorted(set(folder.glob("*.txt")) - used):
            if stray.name not in ("classes.txt", "labels.txt") and not stray.name.startswith("."):
                findings.append(Finding("orphan_labels", name, stray.name, None, "no picture has this name"))
    return RawSplit(name, places[0], pictures(picture_rows), objects(object_rows, relative=True))


def _pictures(place: Path, base: Path) -> Iterator[Path]:
    """The pictures of a folder and below, or those a text file lists, one a line."""
    if place.is_dir():
        # beside `labels` there may be `images`, given or not
        files = (path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES)
        yield from sorted(path for path in files if not path.name.startswith("."))  # `._a.jpg`: litter of a Mac
        return
    for line in place.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines():
        text = line.strip()
        if text and "\0" not in text:
            yield _place(text, (place.parent, base)) or base / text


def _labels(picture: Path) -> Path:
    """`…/images/…/a.jpg` → `…/labels/…/a.txt`, else the text beside the picture."""
    parts = list(picture.parts)
    for i in reversed(range(len(parts) - 1)):
        if parts[i].lower() == "images":
            alike = {"Images": "Labels", "IMAGES": "LABELS"}.get(parts[i], "labels")
            swapped = [Path(*parts[:i], word, *parts[i + 1 :]).with_suffix(".txt") for word in (alike, "labels")]
            if there := [file for file in swapped if file.is_file()]:
                return there[0]
            if not picture.with_suffix(".txt").is_file():
                return swapped[0]
            break
    return picture.with_suffix(".txt")


def _lines(file: Path, split: str, findings: list[Finding]) -> Iterator[tuple[int, list[float]]]:
    """Line number and numbers of each sound line: class and box (5), or class and a polygon of 3 or more points."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return  # YOLO's way to say that nothing is in the picture
    except (OSError, UnicodeDecodeError):
        findings.append(Finding("malformed_entry", split, file.name, None, "a label file that is no text"))
        return
    for i, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            findings.append(Finding("malformed_entry", split, file.name, i, f"line {i} is not numbers alone"))
            continue
        if len(numbers) != 5 and (len(numbers) < 7 or len(numbers) % 2 == 0):
            detail = f"line {i} has {len(numbers)} numbers, not 5 (class and box) nor a class and a polygon"
            findings.append(Finding("malformed_entry", split, file.name, i, detail))
        elif not abs(numbers[0]) < 2**31 or numbers[0] != int(numbers[0]):
            findings.append(Finding("malformed_entry", split, file.name, i, f"line {i}: class {words[0]}"))
        else:
            yield i, numbers


def _box(numbers: list[float]) -> tuple[float, float, float, float]:
    if len(numbers) == 4:
        x, y, w, h = numbers
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2
    return min(numbers[0::2]), min(numbers[1::2]), max(numbers[0::2]), max(numbers[1::2])
