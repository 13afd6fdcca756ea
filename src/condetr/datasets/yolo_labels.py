"""YOLO's label files: which text belongs to which image, and what its lines say."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..images.decode import SUFFIXES
from .defects import Finding
from .raw import RawSplit, images, objects

CLASS_FILES = ("classes.txt", "labels.txt", "obj.names")  # as labelImg, Label Studio and Darknet write them


def located(entry: str, starts: tuple[Path, ...]) -> Path | None:
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


def split(
    name: str, places: list[Path], base: Path, keypoints: bool, findings: list[Finding], *, deep: bool = True
) -> RawSplit:
    """With `keypoints` (a pose data set) a line is class, box and points, else class and box or class and polygon."""
    paths = list(dict.fromkeys(path for place in places for path in images_of(place, base, deep=deep)))
    image_rows, object_rows, used = [], [], set()
    for row, path in enumerate(paths):
        image_rows.append((row + 1, path, 0, 0))
        labels = labels_of(path)
        used.add(labels)
        for line, numbers in _lines(labels, name, findings):
            category, box = int(numbers[0]), _box(numbers[1:5] if keypoints else numbers[1:])
            object_rows.append((row, category, *box, False, float("nan"), line))
    folders = {path.parent for path in used if "labels" in map(str.lower, path.parts)}
    for folder in sorted(folders):
        for stray in sorted(set(folder.glob("*.txt")) - used):
            if stray.name not in CLASS_FILES and not stray.name.startswith("."):
                findings.append(Finding("orphan_labels", name, stray.name, None, "no image has this name"))
    return RawSplit(name, places[0], images(image_rows), objects(object_rows, relative=True))


def images_of(place: Path, base: Path, *, deep: bool = True) -> Iterator[Path]:
    """The images of a folder (and below, if `deep`), or those a text file lists, one a line."""
    if place.is_dir():
        # beside `labels` there may be `images`, given or not
        there = place.rglob("*") if deep else place.iterdir()
        files = (path for path in there if path.suffix.lower() in SUFFIXES)
        yield from sorted(path for path in files if not path.name.startswith("."))  # `._a.jpg`: litter of a Mac
        return
    for line in place.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines():
        text = line.strip()
        if text and "\0" not in text:
            yield located(text, (place.parent, base)) or base / text


def labels_of(image: Path) -> Path:
    """`…/images/…/a.jpg` → `…/labels/…/a.txt`, else the text beside the image."""
    parts = list(image.parts)
    for i in reversed(range(len(parts) - 1)):
        if parts[i].lower() == "images":
            alike = {"Images": "Labels", "IMAGES": "LABELS"}.get(parts[i], "labels")
            swapped = [Path(*parts[:i], word, *parts[i + 1 :]).with_suffix(".txt") for word in (alike, "labels")]
            if there := [file for file in swapped if file.is_file()]:
                return there[0]
            if not image.with_suffix(".txt").is_file():
                return swapped[0]
            break
    return image.with_suffix(".txt")


def is_labelled(image: Path) -> bool:
    """Whether a sound line of a label file is about this image."""
    return next(_lines(labels_of(image), "", []), None) is not None


def _lines(file: Path, split: str, findings: list[Finding]) -> Iterator[tuple[int, list[float]]]:
    """Line number and numbers of each sound line: class and box (5), or class and a polygon of 3 or more points."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return  # YOLO's way to say that nothing is in the image
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
