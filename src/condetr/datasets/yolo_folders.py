"""YOLO folders without a YAML file: the file of class names, and the list or folder of each split."""

import os
from itertools import islice
from pathlib import Path, PurePosixPath

from ..errors import DataError
from ..images.decode import SUFFIXES
from ..text import decoded, lines_of
from .boundary import Boundary
from .disk_names import DiskNames
from .raw import folder_split
from .voc_folders import LIST_SUFFIXES, LISTS
from .walk import files_below
from .yolo_files import CLASS_FILES, SPLIT_KEYS, images_of, labels_of
from .yolo_labels import is_labelled, why_invalid

_MOST = 1000  # images whose labels are looked at


def find_names(root: Path) -> Path | None:
    """The file of names of a folder with YOLO labels and no YAML file. Raises DataError if there are two folders for
    one split."""
    files = [file for folder in name_folders(root) for file in class_files(folder)]
    files += [*_darknet(root).get("names", ()), *with_suffix(root, ".names")]
    names = next((file for file in files if file.is_file()), None)
    return names if names is not None and places(root) else None


def class_files(folder: Path) -> list[Path]:
    """The files of a folder that have a usual name of class files, in any case."""
    names = os.listdir(folder) if folder.is_dir() else []
    there = {name.lower(): folder / name for name in names if name.lower() in CLASS_FILES}
    return [there[name] for name in CLASS_FILES if name in there]


def with_suffix(folder: Path, *suffixes: str) -> list[Path]:
    """The files of a folder with one of the suffixes, in any case; none if there is no such folder."""
    try:
        return sorted(file for file in folder.iterdir() if file.suffix.lower() in suffixes and file.is_file())
    except OSError:
        return []


def name_folders(root: Path) -> list[Path]:
    """Where the file of names can be: at the top, or with the labels of each split (labelImg)."""
    labels = DiskNames().find(root, "labels") or root / "labels"
    folders = [root, labels]
    for above in (labels, root):
        below = sorted(above.iterdir()) if above.is_dir() else []
        folders += [place for one in below if folder_split(one) and one.is_dir() for place in (one, one / "labels")]
    return folders


def refuse_nameless(root: Path) -> None:
    """Raise DataError for a folder with YOLO labels but without the names of the classes."""
    folders = [folder for folder in name_folders(root) if folder == root or "labels" in folder.parts]
    if any(class_files(folder) for folder in folders):
        return
    for folder in folders[1:]:
        if with_suffix(folder, ".txt"):
            raise DataError(
                f"{root}: looks like YOLO ({folder}/*.txt) but has neither data.yaml nor classes.txt. "
                "Write a classes.txt with one name in each line, or a data.yaml with names, train, val"
            )


def refuse_invalid(root: Path) -> None:
    """Raise DataError for a folder with the names of the classes and label files, no line of which is valid."""
    if not any(class_files(folder) for folder in name_folders(root)):
        return
    inside, disk = Boundary(root), DiskNames()
    for place in _folders(root).values():
        for image in islice(images_of(place, root, inside, deep=place != root), _MOST):
            if reason := why_invalid(labels_of(image, inside, disk)):
                raise DataError(
                    f"{reason}. A line of YOLO's labels is a class number and x, y, width and height of the box, as "
                    "fractions of the image"
                )


def places(root: Path) -> dict[str, Path]:
    """The list or image folder of each split without a YAML file. Empty if no image has a label.

    Lists are the files that Darknet's `obj.data` names, or `train.txt` and `val.txt`, also in `splits`. Folders are
    images/train, train/images or train, valid and test likewise; if there is none for `train`, it is the folder
    `images`, or the root without its subfolders.
    """
    inside = Boundary(root)
    found = _lists(root, inside) or _folders(root)
    images = (path for place in found.values() for path in images_of(place, root, inside, deep=place != root))
    disk = DiskNames()
    return found if any(is_labelled(path, inside, disk) for path in images) else {}


def _lists(root: Path, inside: Boundary) -> dict[str, Path]:
    entries = _darknet(root)
    named: dict[str, Path] = {}
    for one, keys in SPLIT_KEYS.items():
        places = [place for key in keys for place in entries.get(key, ())]
        if places:
            named[one] = next((place for place in places if place.is_file()), places[0])
    if named:
        return _existing(named, root, inside)
    disk = DiskNames()
    below = [root / name for name in disk.names(root) if name.lower() in (*LISTS, "data", "labels", "images")]
    for folder in (root, *below, *(main for one in below if (main := disk.find(one, "main")) is not None)):
        for file in with_suffix(folder, *LIST_SUFFIXES):
            if (name := folder_split(file.stem)) is not None:
                named.setdefault(name, file)
        if found := _existing(named, root, inside):
            return found
        named = {}
    return {}


def _existing(named: dict[str, Path], root: Path, inside: Boundary) -> dict[str, Path]:
    """Those of the lists that are there and list an image that is there."""
    listing = {name: file for name, file in named.items() if file.is_file()}
    return {
        name: listing[name]
        for name in SPLIT_KEYS
        if name in listing and any(path.is_file() for path in images_of(listing[name], root, inside))
    }


def _darknet(root: Path) -> dict[str, list[Path]]:
    """The entries of Darknet's `obj.data`, their keys in lower case: where the file of each can be."""
    entries: dict[str, list[Path]] = {}
    for file in with_suffix(root, ".data"):
        for line in lines_of(decoded(file.read_bytes(), errors="replace")):
            key, _, value = (word.strip() for word in line.partition("="))
            words = PurePosixPath(value.replace("\\", "/")).parts
            if key and words and ".." not in words and "\0" not in value:
                inside = [root / word for word in ("/".join(words[i:]) for i in range(len(words)))]
                entries.setdefault(key.lower(), [place for place in inside if place.is_relative_to(root)])
    return entries


def _folders(root: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    disk = DiskNames()
    top = disk.find(root, "images") or root / "images"
    for above in (top, root):
        here: dict[str, Path] = {}
        for folder in sorted(above.iterdir()) if above.is_dir() else ():
            name = folder_split(folder)
            if name is None or not folder.is_dir() or not (folder.name.isalnum() or _has_images(folder)):
                continue  # also train_labels
            if name in here:
                raise DataError(f"{folder}: {here[name]} is also a '{name}' split. Move one away, or write a data.yaml")
            inner = disk.find(folder, "images")
            here[name] = inner if inner is not None and inner.is_dir() else folder
        found = {**here, **found}
    if "train" not in found:
        held_out = {name: folder for name, folder in found.items() if _has_images(folder)}
        found = {"train": top if top.is_dir() else root, **held_out}  # an image in both is a leak
    return {name: found[name] for name in SPLIT_KEYS if name in found}


def _has_images(folder: Path) -> bool:
    return any(file.suffix.lower() in SUFFIXES for file in files_below(folder))
