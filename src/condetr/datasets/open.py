"""A folder or file of labelled images, recognised without a flag: COCO JSON (Roboflow's too), YOLO, Pascal VOC."""

from pathlib import Path

from ..errors import DataError
from . import coco, voc, yolo
from .raw import RawDataSet, RawImages, RawObjects, RawSplit, folder_split, split_name

__all__ = ["RawDataSet", "RawImages", "RawObjects", "RawSplit", "open_dataset"]


def open_dataset(path: Path | str) -> RawDataSet:
    """Read the labels of a data set without judging them, nor opening an image.

    `path` is a folder, a COCO JSON file or a YOLO YAML file. Raises DataError, in one line, when nothing is
    recognised (it says what was looked for) or when the labels contradict themselves. `examine` judges what was read.
    """
    path = Path(path).expanduser()
    try:
        there, file = path.exists(), path.is_file()
    except (OSError, ValueError):
        there = file = False
    if not there:
        raise DataError(f"{path}: no such file or folder")
    if file:
        return _open_file(path)
    try:
        return _open_folder(path)
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror or error})") from None


def _open_file(path: Path) -> RawDataSet:
    suffix = path.suffix.lower()
    if suffix == ".json":
        name = split_name(path.stem) or folder_split(path.parent) or "train"
        return coco.read({name: path}, path.parent)
    if suffix in (".yaml", ".yml"):
        return yolo.read(path)
    raise DataError(f"{path}: not a data set. Give a folder, a COCO .json or a YOLO .yaml file")


def _open_folder(root: Path) -> RawDataSet:
    files = _coco_files(root)
    if files:
        return coco.read(files, root)
    yaml = yolo.find(root)
    if yaml is not None:
        return yolo.read(yaml)
    folders = voc.find(root)
    if folders:
        return voc.read(folders, root)
    names = yolo.find_names(root)
    if names is not None:
        return yolo.read_by_names(names, root)
    if not any(root.iterdir()):
        raise DataError(f"{root}: an empty folder")
    for below in sorted(path for path in root.iterdir() if path.is_dir()):
        # a zip inside its own folder
        if _coco_files(below) or yolo.find(below) or voc.find(below) or yolo.find_names(below):
            raise DataError(f"{root}: no data set, but {below} is one. Give that folder")
    raise DataError(
        f"{root}: no data set recognised. Looked for train|valid|test/_annotations.coco.json, annotations/*.json, "
        "data.yaml or classes.txt (YOLO), Annotations/*.xml (Pascal VOC)"
    )


def _coco_files(root: Path) -> dict[str, Path]:
    """The JSON file of each split; empty when there is none."""
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
    annotations = [file for file in sorted((root / "annotations").glob("*.json")) if coco.looks_like(file)]
    instances = [file for file in annotations if file.name.startswith("instances")]
    found = instances or annotations
    if not found:
        found = [file for file in sorted(root.glob("*.json")) if coco.looks_like(file)]
    if found:
        return _by_split({file: split_name(file.stem) for file in found})
    nested = {
        file: split_name(folder.name)
        for folder in sorted(root.iterdir())
        if folder.is_dir() and split_name(folder.name)
        for file in sorted(folder.glob("*.json"))
        if coco.looks_like(file)
    }
    return _by_split(nested)


def _by_split(names: dict[Path, str | None]) -> dict[str, Path]:
    """One file a split. A file alone may have any name and is then the training split."""
    if len(names) == 1:
        return {name or "train": file for file, name in names.items()}
    found: dict[str, Path] = {}
    for file, name in names.items():
        if name is None:
            continue  # captions, results and such beside the splits
        if name in found:
            raise DataError(f"{file}: {found[name]} is a '{name}' split too. Move one away, or give one of the files")
        found[name] = file
    if names and not found:
        some = ", ".join(file.name for file in names)
        raise DataError(f"{next(iter(names)).parent}: which is train? Give one of the files, or rename: {some}")
    order = ("train", "valid", "test")
    return {name: found[name] for name in order if name in found}
