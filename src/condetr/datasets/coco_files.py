"""Which COCO JSON file is in each split of a folder, and which split and folder a given file belongs to."""

from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError
from .coco_json import looks_like
from .raw import folder_split, split_name

_LABEL_FOLDERS = ("annotations", "annotation", "labels")  # in any case; images are next to these folders


def root_of(file: Path) -> Path:
    """The data set's folder: that of the file, or the folder above `annotations`, `labels` or `annotations/train`."""
    folder = file.absolute().parent
    if folder.name.lower() in _LABEL_FOLDERS:
        return folder.parent
    if folder.parent.name.lower() in _LABEL_FOLDERS and folder_split(folder):
        return folder.parent.parent
    return file.parent


def split_of(file: Path) -> str | None:
    """The split that a file's name or folder names (`val/annotations/instances.json`)."""
    folder = file.absolute().parent
    above = folder_split(folder.parent) if folder.name.lower() in _LABEL_FOLDERS else None
    return split_name(file.stem) or folder_split(folder) or above


def find(root: Path) -> dict[str, Path]:
    """The JSON file of each split; empty if there is none."""
    roboflow = [
        folder / "_annotations.coco.json"
        for folder in sorted(root.iterdir())
        if split_name(folder.name) and (folder / "_annotations.coco.json").is_file()
    ]
    if roboflow:
        return _by_split({file: split_name(file.parent.name) for file in roboflow})
    alone = root / "_annotations.coco.json"
    if alone.is_file():
        return {folder_split(root.resolve()) or "train": alone}
    label_folders = [folder for folder in _folders(root) if folder.name.lower() in _LABEL_FOLDERS]
    for folder in (*label_folders, root):
        if found := _labels_in(folder):
            return _by_split({file: split_name(file.stem) for file in found})
    nested: dict[Path, str | None] = {}
    for folder in (below for above in (root, *label_folders) for below in _folders(above) if split_name(below.name)):
        places = (folder, *(below for below in _folders(folder) if below.name.lower() in _LABEL_FOLDERS))
        labels = next((found for place in places if (found := _labels_in(place))), [])
        nested |= {file: split_name(folder.name) for file in labels}
    return _by_split(nested)


def _folders(above: Path) -> Iterator[Path]:
    return (folder for folder in sorted(above.iterdir()) if folder.is_dir())


def _labels_in(folder: Path) -> list[Path]:
    """The files that look like COCO's; only those named `instances…`, if there are any."""
    found = [file for file in sorted(folder.glob("*.json")) if looks_like(file)]
    return [file for file in found if file.name.startswith("instances")] or found


def _by_split(names: dict[Path, str | None]) -> dict[str, Path]:
    """One file for each split. A single file can have any name and is then the training split."""
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
