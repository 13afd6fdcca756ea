"""Which COCO JSON file is in each split of a folder, and which split and folder a given file belongs to."""

from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError
from .coco_json import looks_like
from .raw import folder_split, split_name

_ROBOFLOW = "_annotations.coco.json"
_NO_BOXES = ("captions", "panoptic", "stuff")  # how files of COCO's other tasks begin
_LABEL_FOLDERS = ("annotations", "annotation", "labels")  # in any case; images are next to these folders


def root_of(file: Path) -> Path:
    """The data set's folder: that of the file, or the folder above `annotations`, `labels` or `annotations/train`."""
    folder = file.absolute().parent
    if folder.name.lower() in _LABEL_FOLDERS:
        return folder.parent
    if folder.parent.name.lower() in _LABEL_FOLDERS:
        return folder.parent.parent
    return file.parent


def split_of(file: Path) -> str | None:
    """The split that a file's name or folder names (`val/annotations/instances.json`)."""
    folder = file.absolute().parent
    above = folder_split(folder.parent) if folder.name.lower() in _LABEL_FOLDERS else None
    return split_name(file.stem) or folder_split(folder) or above


def find(root: Path) -> dict[str, Path]:
    """The JSON file of each split; empty if there is none."""
    named = [folder for folder in _folders(root) if split_name(folder.name)]
    roboflow = [folder / _ROBOFLOW for folder in named if (folder / _ROBOFLOW).is_file()]
    if roboflow:
        missing = {split_name(folder.name) for folder in named} - {split_name(file.parent.name) for file in roboflow}
        others = [folder for folder in named if split_name(folder.name) in missing]
        return _by_split({file: split_name(file.parent.name) for file in roboflow} | _in_split_folders(others))
    alone = root / _ROBOFLOW
    if alone.is_file():
        return {folder_split(root.resolve()) or "train": alone}
    label_folders = [folder for folder in _folders(root) if folder.name.lower() in _LABEL_FOLDERS]
    for folder in (*label_folders, root):
        if found := _labels_in(folder):
            return _by_split({file: split_name(file.stem) for file in found})
    below = [folder for above in (root, *label_folders) for folder in _folders(above)]
    if nested := _in_split_folders([folder for folder in below if split_name(folder.name)]):
        return _by_split(nested)
    for folder in (one for above in label_folders for one in _folders(above)):  # annotations/coco/train.json
        if found := _labels_in(folder):
            return _by_split({file: split_name(file.stem) for file in found})
    return {}


def _in_split_folders(folders: list[Path]) -> dict[Path, str | None]:
    """The files in folders of one split each, or in their folders of labels."""
    found: dict[Path, str | None] = {}
    for folder in folders:
        places = (folder, *(below for below in _folders(folder) if below.name.lower() in _LABEL_FOLDERS))
        labels = next((files for place in places if (files := _labels_in(place))), [])
        found |= {file: split_name(folder.name) for file in labels}
    return found


def _folders(above: Path) -> Iterator[Path]:
    return (folder for folder in sorted(above.iterdir()) if folder.is_dir())


def _labels_in(folder: Path) -> list[Path]:
    """The files that look like COCO's; only those named `instances…`, if there are any, else none of another task."""
    found = [file for file in sorted(folder.iterdir()) if file.suffix.lower() == ".json" and looks_like(file)]
    boxes = [file for file in found if not file.name.lower().startswith(_NO_BOXES)]
    return [file for file in found if file.name.lower().startswith("instances")] or boxes or found


def _by_split(names: dict[Path, str | None]) -> dict[str, Path]:
    """One file for each split. A single file can have any name and is then the training split; `trainval` contains
    `train` and `val`, so it is left out where there is a file of `train`."""
    both = {file for file in names if "trainval" in file.stem.lower()}
    if any(name == "train" and file not in both for file, name in names.items()):
        names = {file: name for file, name in names.items() if file not in both}
    if len(names) == 1:
        return {name or "train": file for file, name in names.items()}
    found: dict[str, Path] = {}
    for file, name in names.items():
        if name is None:
            continue  # captions, results and others next to the splits
        if name in found:
            raise DataError(f"{file}: {found[name]} is also a '{name}' split. Move one away, or give one of the files")
        found[name] = file
    if names and not found:
        some = ", ".join(file.name for file in names)
        raise DataError(f"{next(iter(names)).parent}: which is train? Give one of the files, or rename: {some}")
    order = ("train", "valid", "test")
    return {name: found[name] for name in order if name in found}
