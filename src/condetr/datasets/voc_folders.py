"""Which XML files are in each split of a Pascal VOC folder, and where their images can be."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .raw import folder_split, split_name

_ANNOTATIONS = ("Annotations", "annotations", "xmls", "labels")
_IMAGES = ("JPEGImages", "images", "Images", "data")


@dataclass(frozen=True, slots=True)
class Folders:
    """Label files below the folder `root`, and the folders where their images can be. The image of a label file in a
    subfolder of `root` can be in the same subfolder of those."""

    root: Path
    labels: tuple[Path, ...]
    images: tuple[Path, ...]


def find(root: Path) -> dict[str, tuple[Folders, ...]]:
    """The splits of a VOC folder: a devkit (`Annotations`, lists of the splits), split folders, or a folder of XML.

    Devkits of several years are kept apart: they can have label files with the same names.
    """
    found: dict[str, list[Folders]] = {}
    candidates = [root, root / "VOCdevkit", *root.glob("VOC*"), *root.glob("VOCdevkit/VOC*")]
    for base in dict.fromkeys(candidates):
        for split, folders in _devkit(base).items():
            found.setdefault(split, []).append(folders)
    if not found:
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            name = split_name(folder.name)
            labels = next((below for below in (folder, *(folder / word for word in _ANNOTATIONS)) if _xml(below)), None)
            if name and labels:
                images = (labels, folder, *(folder / word for word in _IMAGES))
                found.setdefault(name, []).append(Folders(labels, _xml(labels), images))
    if not found and _xml(root):
        images = (root, *(root / word for word in _IMAGES))
        found[folder_split(root.resolve()) or "train"] = [Folders(root, _xml(root), images)]
    return {name: tuple(found[name]) for name in ("train", "valid", "test") if name in found}


def unlisted(splits: dict[str, tuple[Folders, ...]]) -> dict[Path, list[Path]]:
    """The label files of each folder that are in none of its lists."""
    groups = [folders for split in splits.values() for folders in split]
    used = {label for folders in groups for label in folders.labels}
    rest = {root: [f for f in _xml_below(root) if f not in used] for root in dict.fromkeys(f.root for f in groups)}
    return {root: files for root, files in rest.items() if files}


def _devkit(base: Path) -> dict[str, Folders]:
    folders = [base / word for word in _ANNOTATIONS]
    annotations = next((folder for folder in folders if _xml(folder) or _xml_below(folder)), None)
    if annotations is None:
        return {}
    images = (*(base / word for word in _IMAGES), annotations, base)
    found = {}
    for place in (base / "ImageSets" / "Main", base / "ImageSets", base):
        for name, file in _lists(place).items():
            listed = dict.fromkeys(_label_file(line, annotations, base) for line in _lines(file))
            if listed and (place != base or any(label.is_file() for label in listed)):
                found[name] = Folders(annotations, tuple(listed), images)
        if found:
            return found
    return {"train": Folders(annotations, _xml(annotations) or _xml_below(annotations), images)}


def _lists(folder: Path) -> dict[str, Path]:
    """The text file that lists each split: `train.txt`, `Validation.txt`; `trainval.txt` where there is no `train`."""
    found: dict[str, Path] = {}
    for file in sorted(folder.glob("*.txt"), key=lambda file: (file.stem.lower() == "trainval", file)):
        name = split_name(file.stem) if re.fullmatch(r"[A-Za-z]+[0-9]*", file.stem) else None
        if name:
            found.setdefault(name, file)
    return found


def _lines(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8-sig", errors="replace").replace("\0", "")
    return (line.strip() for line in text.splitlines() if line.strip())


def _label_file(line: str, annotations: Path, base: Path) -> Path:
    """The label file of a line in a list: a stem, possibly with spaces or an image's suffix; an image and its label
    file (`JPEGImages/a.jpg Annotations/a.xml`); lists of a single class have a number after the stem."""
    words = line.split()
    files = [annotations / f"{stem}.xml" for stem in (line, line.rsplit(".", 1)[0], words[0])]
    files += [base / word for word in words if word.lower().endswith(".xml")]
    files += [annotations / f"{Path(words[0]).stem}.xml"]
    return next((file for file in files if file.is_file()), files[2])


def _xml(folder: Path) -> tuple[Path, ...]:
    return _visible(folder.glob("*.xml")) if folder.is_dir() else ()


def _xml_below(folder: Path) -> tuple[Path, ...]:
    return _visible(folder.rglob("*.xml")) if folder.is_dir() else ()


def _visible(files: Iterator[Path]) -> tuple[Path, ...]:
    return tuple(sorted(file for file in files if file.is_file() and not file.name.startswith(".")))
