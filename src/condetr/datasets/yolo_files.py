"""Which files of a YOLO data set are its images, and which are their labels."""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from ..images.decode import SUFFIXES
from ..images.unread import UNREADABLE
from ..text import decoded, lines_of, read_bytes
from .boundary import Boundary
from .defects import Finding, unlisted_labels
from .disk_names import DiskNames, plain
from .walk import files_below

SPLIT_KEYS = {"train": ("train", "training"), "valid": ("val", "valid", "validation"), "test": ("test",)}  # in any case
CLASS_FILES = (  # of labelImg, Label Studio, Darknet, PaddleDetection
    "classes.txt", "labels.txt", "obj.names", "_darknet.labels", "predefined_classes.txt", "label_list.txt",
    "class_names.txt", "names.txt",
)  # fmt: skip


def locate(entry: str, starts: tuple[Path, ...], boundary: Boundary, disk: DiskNames) -> Path | None:
    """The file or folder that an entry names, relative to one of `starts`; None if there is none.

    Roboflow writes `../train/images` for a folder next to the file. A path of another machine
    (`/content/birds/train/images`, `C:\\birds\\train\\images`) is found by its last words, two at least, and last of
    all in any case. A path outside the boundary is returned only if there is none inside.
    """
    words = PurePosixPath(entry.replace("\\", "/")).parts
    words = words[next((i for i, word in enumerate(words) if word != ".."), 0) :]
    ends = [Path(*words[i:]) for i in range(max(1, len(words) - 1))]
    outside = None
    for start in dict.fromkeys(starts):
        for path in (start / end for end in (Path(entry), *ends)):
            try:
                if not path.exists():
                    continue
                if boundary.contains_folder(path if path.is_dir() else path.parent):
                    return path
            except (OSError, ValueError):
                continue
            outside = outside or path
    if outside is None:
        found = (disk.find(start, end.as_posix()) for start in dict.fromkeys(starts) for end in ends)
        return next((path for path in found if path is not None and boundary.contains(path)), None)
    return outside


def expanded(entries: list[str], starts: tuple[Path, ...], boundary: Boundary, disk: DiskNames) -> Iterator[str]:
    """The entries of a split, where a pattern (`images/2024-*`) and several paths separated by commas are each replaced
    by the folders or files that exist."""
    for entry in entries:
        if locate(entry, starts, boundary, disk) is not None:
            yield entry
        elif len(parts := [part.strip() for part in entry.split(",") if part.strip()]) > 1:
            yield from expanded(parts, starts, boundary, disk)
        else:
            yield from _matches(entry, starts) or [entry]


def _matches(pattern: str, starts: tuple[Path, ...]) -> list[str]:
    """What a pattern matches below the first of `starts` with a match: folders and images, or else lists."""
    words = [word for word in PurePosixPath(pattern.replace("\\", "/")).parts if word not in ("/", "//", "..")]
    if not words or not any(sign in pattern for sign in "*?["):
        return []
    for start, i in product(dict.fromkeys(starts), range(max(1, len(words) - 1))):  # as in `locate`
        try:
            found = sorted(start.glob("/".join(words[i:])))
        except (OSError, ValueError):  # not a pattern
            return []
        split_up = [path for path in found if path.is_dir() or path.suffix.lower() in SUFFIXES]
        if found:
            return [str(path) for path in split_up or found]
    return []


def images_of(place: Path, base: Path, boundary: Boundary, *, deep: bool = True) -> Iterator[Path]:
    """The images of a folder (with `deep` also below it), or the images that a text file lists, one in each line: by
    path, or by name in the folder `images`. Of a folder also those of a format that is not read, if no other has their
    name: they may be labelled."""
    if place.is_dir():
        files = files_below(place) if deep else place.iterdir()
        visible = [path for path in files if not path.name.startswith(".")]  # macOS writes `._a.jpg`
        images = [path for path in visible if path.suffix.lower() in SUFFIXES]
        if others := [path for path in visible if path.suffix.lower() in UNREADABLE]:
            named = {path.with_suffix("") for path in images}
            images += [path for path in others if path.with_suffix("") not in named]
        yield from sorted(images)
        return
    if place.suffix.lower() in SUFFIXES:
        yield place
        return
    disk = DiskNames()
    names: dict[str, Path] | None = None
    for line in lines_of(decoded(read_bytes(place), errors="surrogateescape")):
        text = line.strip().strip("\"'")
        if text and "\0" not in text:
            forms = [text, unquote(text)] if "%" in text else [text]
            if (word := re.split(r"[\s,;]", text, maxsplit=1)[0]) != text and PurePosixPath(
                word
            ).suffix.lower() in SUFFIXES:
                forms.append(word)  # the label file follows
            found = (locate(form, (place.parent, base, base / "images"), boundary, disk) for form in forms)
            path = next(filter(None, found), None)
            if path is None:
                names = _by_name((base / "images", base), disk) if names is None else names
                path = next(filter(None, (names.get(plain(_last_word(form))) for form in forms)), None)
            if path is not None or not text.startswith("#"):
                yield path or base / _last_word(text)


def _last_word(text: str) -> str:
    return PurePosixPath(text.replace("\\", "/")).name


def _by_name(folders: tuple[Path, ...], disk: DiskNames) -> dict[str, Path]:
    """The images of some folders by their names, and without suffixes, as in the lists of Pascal VOC."""
    paths = [folder / name for folder in folders for name in disk.names(folder)]
    images = [path for path in paths if path.suffix.lower() in SUFFIXES]
    names = {plain(path.name): path for path in reversed(images)}
    for path in images:
        names.setdefault(plain(path.stem), path)
    return names


def labels_of(image: Path, boundary: Boundary, disk: DiskNames) -> Path:
    """`…/labels/…/a.txt` for `…/images/…/a.jpg`, else the text file next to the image, else one in a folder `labels`
    beside the image's, if that is inside the boundary; in any spelling. Where there is none, the place where it is
    looked for first."""
    folders = _label_folders(image.parent, boundary.contains_folder(image.parent.parent))
    for name in (f"{image.stem}.txt", f"{image.name}.txt"):  # some tools keep the image's suffix
        for folder in folders:
            if (found := disk.find(folder, name)) is not None and found.is_file():
                return found
    return folders[0] / f"{image.stem}.txt"


@lru_cache(maxsize=1024)
def _label_folders(images: Path, beside: bool) -> tuple[Path, ...]:
    """Where the labels of a folder of images can be."""
    parts = images.parts
    folders = []
    for i in reversed(range(len(parts))):
        if parts[i].lower() == "images":
            first = {"Images": "Labels", "IMAGES": "LABELS"}.get(parts[i], "labels")
            names = dict.fromkeys((first, "labels", "Labels", "LABELS"))
            folders += [Path(*parts[:i], name, *parts[i + 1 :]) for name in names]
    words = ("labels", "Labels", "label", "Label")
    alike = re.sub(r"(?<![a-z])images(?![a-z])", "labels", images.name)  # train_images
    others = [images.parent / name for name in (*words, alike)] if beside else []
    others += [images.parent / name / images.name for name in words] if beside else []  # train and labels/train
    return tuple(dict.fromkeys((*folders, images, *others, *(images / name for name in words))))


def orphans(used: dict[Path, str]) -> Iterator[Finding]:
    """The label files next to those that are `used` by a split, but used by none."""
    folders: dict[Path, str] = {}
    for path, name in used.items():
        depth = max((i for i, word in enumerate(path.parts[:-1]) if word.lower() == "labels"), default=None)
        for folder in path.parents[: len(path.parts) - 1 - depth] if depth is not None else ():
            folders.setdefault(folder, name)  # also between `labels` and the label file
    disk, unlisted = DiskNames(), []
    for folder, name in sorted(folders.items()):
        parts = list(folder.parts)
        parts[max(i for i, word in enumerate(parts) if word.lower() == "labels")] = "images"
        stems = {Path(one).stem for one in disk.names(Path(*parts)) if Path(one).suffix.lower() in SUFFIXES}
        for stray in sorted(set(folder.glob("*.txt")) - used.keys()):
            if stray.name.lower() in CLASS_FILES or stray.name.startswith("."):
                continue
            if stray.stem in stems:
                unlisted.append(stray)
            else:
                yield Finding("orphan_labels", name, stray, None, "no image has this name")
    if unlisted:
        yield unlisted_labels(unlisted)


def broken_links(folder: Path, split: str, deep: bool) -> Iterator[Finding]:
    """Links of Git that were checked out as text files, as on Windows: they contain the path of a folder."""
    for path in files_below(folder) if deep else folder.iterdir():
        try:
            if path.suffix or path.stat().st_size > 255 or not path.is_file():
                continue
            target = path.read_text(encoding="utf-8").strip()
            if target and "\n" not in target and "\0" not in target and (path.parent / target).is_dir():
                detail = f"contains the path {target}: its images are left out"
                yield Finding("broken_link", split, path, None, detail)
        except (OSError, ValueError):
            continue
