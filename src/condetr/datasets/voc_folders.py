"""Which XML files are in each split of a Pascal VOC folder, and where their images can be. Case never matters."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..text import decoded, lines_of, read_bytes
from .disk_names import DiskNames
from .raw import folder_split, split_name
from .walk import files_below

ANNOTATIONS = ("annotations", "annotation", "annots", "annot", "xmls", "xml", "labels", "label")
LISTS = ("splits", "split", "lists", "sets", "imagesets", "image_sets")  # folders of the lists of the splits
LIST_SUFFIXES = (".txt", ".lst", ".list")
TABLES = (".csv", ".tsv")
IMAGES = ("jpegimages", "images", "image", "imgs", "img", "data", "pngimages")


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
    devkits = [folder for folder in _folders(root) if folder.name.lower() == "vocdevkit"]
    years = [below for above in (root, *devkits) for below in _folders(above) if below.name.lower().startswith("voc")]
    for base in dict.fromkeys((root, *devkits, *years)):
        for split, folders in _devkit(base).items():
            found.setdefault(split, []).append(folders)
    if not found:
        above = _folders(root)
        for folder in above:
            name = split_name(folder.name)
            labelled = _named(folder, ANNOTATIONS)
            inside = (below for place in labelled for below in _named(place, ANNOTATIONS))
            again = (below for below in _folders(folder) if split_name(below.name) == name)  # train_zip/train
            labels = (
                next((place for place in (folder, *labelled, *inside, *again) if _xml(place)), None) if name else None
            )
            if name and labels:
                alike = (other for other in above if split_name(other.name) == name)  # train_images
                images = (labels, folder, *_named(folder, IMAGES), *alike)
                found.setdefault(name, []).append(Folders(labels, _xml(labels), images))
    if not found and _xml(root):
        images = (root, *_named(root, IMAGES))
        found[folder_split(root.resolve()) or "train"] = [Folders(root, _xml(root), images)]
    return {name: tuple(found[name]) for name in ("train", "valid", "test") if name in found}


def unlisted(splits: dict[str, tuple[Folders, ...]]) -> dict[Path, list[Path]]:
    """The label files of each folder that are in none of its splits."""
    groups = [folders for split in splits.values() for folders in split]
    used = {label for folders in groups for label in folders.labels}
    rest = {root: [f for f in _xml_below(root) if f not in used] for root in dict.fromkeys(f.root for f in groups)}
    return {root: files for root, files in rest.items() if files}


def _devkit(base: Path) -> dict[str, Folders]:
    annotations = next((folder for folder in _named(base, ANNOTATIONS) if _xml(folder) or _xml_below(folder)), None)
    if annotations is None:
        return {}
    images = (*_named(base, IMAGES), annotations, base)
    labels = [annotations, *_named(annotations, ANNOTATIONS)]
    every = _xml(annotations) or _xml_below(annotations)
    sets = _named(base, ("imagesets",))
    mains = [main for folder in sets for main in _named(folder, ("main",))]
    others = [folder for above in sets for folder in _folders(above) if folder not in mains]  # Segmentation
    for place in (*mains, *sets, *others, base, *_named(base, (*LISTS, "data")), *images[:-2]):
        found = {}
        for name, listed in _listed(place, labels, base).items():
            if place in mains or place in sets or any(label.is_file() for label in listed):
                found[name] = Folders(annotations, listed, images)
        if found:
            return found
    if parts := _held_out(every, _listed(annotations, labels, base)):
        return {name: Folders(annotations, files, images) for name, files in parts.items()}
    found = {}
    below = _folders(annotations)
    if len(below) == 1 and not _xml(annotations):  # ImageNet's Annotations/CLS-LOC
        below += _folders(below[0])
    for folder in below:
        if (split := folder_split(folder)) and (own := _xml_below(folder)):
            alike = [below for above in images[:-2] for below in _folders(above) if folder_split(below) == split]
            before = found[split].labels if split in found else ()
            found[split] = Folders(annotations, (*before, *own), (*alike, *images))
    split = split_name(base.name) if base.name.lower().startswith("voc") else folder_split(base.resolve())
    alone = {split or "train": Folders(annotations, every, images)}  # VOC2007_test
    return found or _by_images(annotations, every, images) or alone


def _listed(place: Path, labels: list[Path], base: Path) -> dict[str, tuple[Path, ...]]:
    """The label files in the lists of each split in a folder."""
    disk = DiskNames()
    found = {}
    for name, files in _lists(place).items():
        lines = dict.fromkeys(line for file in files for line in _lines(file))
        listed = list(dict.fromkeys(_label_file(line, labels, base, disk) for line in lines))
        header = bool(listed) and files[0].suffix.lower() in TABLES and not listed[0].is_file()
        found[name] = tuple(listed[header:])
    return {name: files for name, files in found.items() if files}


def _held_out(every: tuple[Path, ...], listed: dict[str, tuple[Path, ...]]) -> dict[str, tuple[Path, ...]]:
    """The label files of each split by lists among the labels, which need not be complete (the Oxford-IIIT Pets list
    images without labels): what is not in `valid` or `test` is in `train`. Empty if they hold nothing out."""
    there = set(every)
    found = {name: tuple(label for label in files if label in there) for name, files in listed.items()}
    rest = there.difference(*(files for name, files in found.items() if name != "train"))
    found["train"] = tuple(label for label in every if label in rest)
    return {name: files for name, files in found.items() if files} if rest < there else {}


def _by_images(annotations: Path, labels: tuple[Path, ...], images: tuple[Path, ...]) -> dict[str, Folders]:
    """Label files of one folder by the split folder that their images are in; empty if that is not several."""
    found: dict[str, Folders] = {}
    rest = dict.fromkeys(labels)
    for folder in (below for above in images[:-2] for below in _folders(above)):
        split = folder_split(folder)
        stems = {file.stem for file in files_below(folder)} if split else set()
        if split and (own := tuple(label for label in rest if label.stem in stems)):
            before = found[split] if split in found else Folders(annotations, (), images)
            found[split] = Folders(annotations, (*before.labels, *own), (folder, *before.images))
            for label in own:
                del rest[label]
    if len(found) < 2:
        return {}
    if rest:
        train = found.get("train", Folders(annotations, (), images))
        found["train"] = Folders(annotations, (*train.labels, *rest), train.images)
    return found


def _lists(folder: Path) -> dict[str, list[Path]]:
    """The text files that list each split: `train.txt`, `Validation.txt`; `trainval.txt` where there is no `train`.
    Of a table, `train.csv`, the first column is read."""
    found: dict[str, list[Path]] = {}
    there = folder.iterdir() if folder.is_dir() else ()
    files = [file for file in there if file.suffix.lower() in (*LIST_SUFFIXES, *TABLES, "") and file.is_file()]
    files = sorted(files, key=lambda file: (file.suffix.lower() in TABLES, file))
    for file in sorted(files, key=lambda file: file.stem.lower() == "trainval"):
        if name := folder_split(file.stem):
            found.setdefault(name, [file])
    if not found:  # those of each class, as `cat_train.txt`
        for file in files:
            if name := folder_split(file.stem.rpartition("_")[2]):
                found.setdefault(name, []).append(file)
    return found


def _lines(file: Path) -> Iterator[str]:
    text = decoded(read_bytes(file), errors="replace").replace("\0", "").replace("\\", "/")
    rows = lines_of(text)
    if file.suffix.lower() in TABLES:
        rows = [re.split("[,;\t]", row, maxsplit=1)[0] for row in rows]
    lines = (line.strip().strip("\"'").strip() for line in rows)
    return (line for line in lines if line and not line.startswith("#"))


def _label_file(line: str, folders: list[Path], base: Path, disk: DiskNames) -> Path:
    """The label file of a line in a list, in the first of `folders` that has it: a stem, possibly with spaces or an
    image's suffix; an image and its label file (`JPEGImages/a.jpg Annotations/a.xml`); lists of a single class have a
    number after the stem."""
    words = re.split(r"[\s,;]+", line)
    for text in dict.fromkeys((line, *words)):
        parts = [part for part in PurePosixPath(text).parts if part not in ("/", "//", "..")]
        for i in range(len(parts)):
            name = "/".join(parts[i:])
            stem = name.rsplit(".", 1)[0] if "." in parts[-1] else name
            inside = ((folder, f"{one}.xml") for folder in folders for one in (name, stem))
            for folder, file in (*inside, (base, name)):
                if file.lower().endswith(".xml") and (found := disk.find(folder, file)):
                    return found
    outside = (folders[0] / f"{text}.xml" for text in dict.fromkeys((line, words[0])) if ".." in text or text[0] == "/")
    return next((file for file in outside if file.is_file()), folders[0] / f"{PurePosixPath(words[0]).name}.xml")


def _folders(above: Path) -> list[Path]:
    if not above.is_dir():
        return []
    with os.scandir(above) as entries:  # knows what is a folder without another call for each of many files
        return sorted(Path(entry.path) for entry in entries if entry.is_dir())


def _named(above: Path, words: tuple[str, ...]) -> list[Path]:
    """The folders that have one of the names, in any case, in the order of the names."""
    folders = [folder for folder in _folders(above) if folder.name.lower() in words]
    return sorted(folders, key=lambda folder: (words.index(folder.name.lower()), folder))


def _xml(folder: Path) -> tuple[Path, ...]:
    return _visible(folder.iterdir()) if folder.is_dir() else ()


def _xml_below(folder: Path) -> tuple[Path, ...]:
    return _visible(files_below(folder)) if folder.is_dir() else ()


def _visible(files: Iterable[Path]) -> tuple[Path, ...]:
    found = (file for file in files if file.suffix.lower() == ".xml" and not file.name.startswith("."))
    return tuple(sorted(file for file in found if file.is_file()))
