"""The objects in the lines of YOLO's label files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..images.unread import UNREADABLE
from ..text import lines_of, read_text
from .boundary import Boundary
from .coco_boxes import other_form_of_fractions
from .defects import Finding
from .disk_names import DiskNames
from .raw import RawSplit, images, objects
from .yolo_files import broken_links, images_of, labels_of
from .yolo_poses import BEFORE, are_poses

IN_PIXELS = 4.0  # a box that is larger than this many images is not in fractions

Line = tuple[int, Path, int, list[float]]  # the row of its image, its label file, its number, what is in it


@dataclass(frozen=True, slots=True)
class SplitLines:
    """A split as it is in the files: its images and the lines of their labels."""

    name: str
    place: Path
    boundary: Boundary
    images: list[tuple[int, Path, int, int]]
    label_files: list[Path]
    lines: list[Line]

    @property
    def long(self) -> list[list[float]]:
        """The lines with more than a class and a box."""
        return [numbers for *_, numbers in self.lines if len(numbers) > BEFORE]


def read_split(
    name: str,
    places: list[Path],
    base: Path,
    boundary: Boundary,
    findings: list[Finding],
    used: dict[Path, str],
    *,
    deep: bool = True,
) -> SplitLines:
    """The images of `places` with the lines of their labels. The label files are added to `used`, with the split's
    name."""
    paths = list(dict.fromkeys(path for place in places for path in images_of(place, base, boundary, deep=deep)))
    findings += [one for place in places if place.is_dir() for one in broken_links(place, name, deep)]
    disk = DiskNames()
    if any(path.suffix.lower() in UNREADABLE for path in paths):  # without labels they are no images of the data set
        paths = [p for p in paths if p.suffix.lower() not in UNREADABLE or labels_of(p, boundary, disk).is_file()]
    image_rows, label_files = [], []
    lines: list[Line] = []
    first: dict[Path, Path] = {}
    for row, path in enumerate(paths):
        image_rows.append((row + 1, path, 0, 0))
        label_files.append(labels_of(path, boundary, disk) if boundary.contains(path) else path)
        if not boundary.contains(path):
            continue
        labels = label_files[-1]
        if first.setdefault(labels, path) != path and labels.is_file():
            findings.append(
                Finding("shared_labels", name, path, None, f"{labels.name} is also of {first[labels].name}")
            )
        used[labels] = name
        lines += ((row, labels, line, numbers) for line, numbers in _lines(labels, name, findings))
    lines = list(_without_sixth(_without_seventh(lines), name, findings))
    return SplitLines(name, places[0], boundary, image_rows, label_files, lines)


def _without_seventh(lines: list[Line]) -> list[Line]:
    """The lines, the number of a track behind box and confidence left out: where every line of 7 numbers ends in a
    whole one and none is longer, these are no triangles."""
    last = [numbers[6] for *_, numbers in lines if len(numbers) == 7]
    tracks = all(number % 1 == 0 for number in last) and all(len(numbers) <= 7 for *_, numbers in lines)
    return [
        (row, file, i, numbers[:6] if len(numbers) == 7 and (tracks or _is_track(numbers[6])) else numbers)
        for row, file, i, numbers in lines
    ]


def _is_track(number: float) -> bool:
    return number >= 2 and number % 1 == 0


def _without_sixth(lines: list[Line], split: str, findings: list[Finding]) -> Iterator[Line]:
    """The lines, a confidence or the number of a track behind the box left out. The lines of rotated boxes, whose angle
    is neither, are left out."""
    sixth = [numbers[5] for *_, numbers in lines if len(numbers) == 6]
    angles = any(not 0 <= number <= 1 and number % 1 for number in sixth)
    reported: set[Path] = set()
    for row, file, i, numbers in lines:
        if len(numbers) == 6 and angles:
            detail = f"{numbers[5]:g} behind the box looks like an angle: write a rotated box as its four corners"
            findings.append(Finding("malformed_entry", split, file, i, detail, "line"))
            continue
        if len(numbers) == 6 and file not in reported:
            findings.append(Finding("extra_number", split, file, i, f"{numbers[5]:g} follows the box", "line"))
            reported.add(file)
        yield row, file, i, numbers[:5] if len(numbers) == 6 else numbers


def interpreted(read: list[SplitLines], findings: list[Finding], *, keypoints: bool = False) -> list[RawSplit]:
    """A line is a class with a box or a polygon; with `keypoints` (a pose data set) a class, a box and points. Lines of
    many numbers that `are_poses`, in all splits together or in one, are read so in any case, with a finding."""
    poses = not keypoints and are_poses([numbers for split in read for numbers in split.long])
    return [_interpreted(split, findings, keypoints, poses) for split in read]


def _interpreted(split: SplitLines, findings: list[Finding], keypoints: bool, poses: bool) -> RawSplit:
    name = split.name
    long = [(labels, line, numbers) for _, labels, line, numbers in split.lines if len(numbers) > BEFORE]
    if long and not keypoints and (poses or are_poses(split.long)):
        keypoints = True
        labels, line, numbers = long[0]
        detail = f"{len(numbers) - BEFORE} numbers of keypoints follow the box"
        findings.append(Finding("extra_number", name, labels, line, detail, "line"))
    object_rows, corners = [], []
    for row, labels, line, numbers in split.lines:
        if not keypoints and len(numbers) > BEFORE and len(numbers) % 2 == 0:
            detail = f"{len(numbers)} numbers: neither 5 (class and box) nor a class and a polygon"
            findings.append(Finding("malformed_entry", name, labels, line, detail, "line"))
            continue
        box = _box(numbers[1:BEFORE] if keypoints else numbers[1:])
        object_rows.append((row, int(numbers[0]), *box, False, float("nan"), line))
        corners.append((row, int(numbers[0]), *numbers[1:BEFORE]))
    if form := other_form_of_fractions(object_rows, corners):
        detail = f"read as {form}, all boxes would lie in their images"
        findings.append(Finding("corner_boxes", name, split.place, None, detail))
    return RawSplit(
        name,
        split.place,
        images(split.images, split.label_files, split.boundary),
        objects(object_rows, "line", relative=True),
    )


def is_labelled(image: Path, boundary: Boundary, disk: DiskNames) -> bool:
    """Whether the image's label file has a valid line."""
    return next(_lines(labels_of(image, boundary, disk), "", []), None) is not None


def why_invalid(file: Path) -> str | None:
    """The first defect of a label file with numbers and without a valid line, and where it is; None for any other."""
    findings: list[Finding] = []
    if next(_lines(file, "", findings), None) is not None or not findings or findings[0].id is None:
        return None
    if len(re.findall(r"[0-9.,]+", lines_of(read_text(file))[int(findings[0].id) - 1])) < 4:
        return None  # a caption
    return f"{file}:{findings[0].id}: {findings[0].detail}"


def _lines(file: Path, split: str, findings: list[Finding]) -> Iterator[tuple[int, list[float]]]:
    """Line number and numbers of each valid line: class and box (5), or class and a polygon of 3 or more points, or
    class, box and keypoints.

    A detector's labels have the confidence behind the box: these lines have 6 numbers; a track behind it is left out.
    """
    try:
        text = read_text(file)
    except FileNotFoundError:
        return  # in YOLO's format an image without objects needs no label file
    except (OSError, UnicodeDecodeError):
        findings.append(Finding("malformed_entry", split, file, None, "the label file is not a text file"))
        return
    noise = "\0\x1a\ufeff\u200b"  # the end of a file in DOS, and what is not seen in an editor
    for i, line in enumerate(lines_of(text), start=1):
        words = _words(line.strip(noise))
        if not words:
            continue
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            if not line.lstrip(" \t").startswith("#"):
                detail = f"words that are not numbers: {' '.join(filter(_is_word, words))[:40]}"
                findings.append(Finding("malformed_entry", split, file, i, detail, "line"))
            continue
        if len(numbers) < 5:
            detail = f"{len(numbers)} numbers: neither 5 (class and box) nor a class and a polygon"
            findings.append(Finding("malformed_entry", split, file, i, detail, "line"))
        elif not abs(numbers[0]) < 2**31 or numbers[0] != int(numbers[0]):
            findings.append(Finding("malformed_entry", split, file, i, f"class {words[0]}", "line"))
        elif max(map(abs, numbers[1:5])) > IN_PIXELS:
            detail = "the box is in pixels: YOLO's boxes are fractions of the image"
            findings.append(Finding("malformed_entry", split, file, i, detail, "line"))
        else:
            yield i, numbers


def _is_word(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return True
    return False


def _words(line: str) -> list[str]:
    """The numbers of a line, which spreadsheets separate by commas or semicolons, or write with decimal commas; without
    quotes, and a comment behind them."""
    line = line.partition(" #")[0].replace('"', "")
    words = line.split()
    if "," not in line and ";" not in line:
        return words
    if ";" in line and re.search(r"\d,\d", line):  # 0;0,5;0,25
        return [word.strip().replace(",", ".") for word in line.split(";") if word.strip()]
    if len(words) == 1:
        return [word for word in re.split("[,;]", line) if word.strip()]
    return [word.rstrip(",;").replace(",", ".") for word in words if word not in (",", ";")]


def _box(numbers: list[float]) -> tuple[float, float, float, float]:
    if len(numbers) == 4:
        x, y, w, h = numbers
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2
    return min(numbers[0::2]), min(numbers[1::2]), max(numbers[0::2]), max(numbers[1::2])
