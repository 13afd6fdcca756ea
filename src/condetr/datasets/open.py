"""Open a folder or file of labelled images: COCO JSON (also Roboflow's), YOLO or Pascal VOC, recognised by itself."""

from pathlib import Path

from ..errors import DataError
from . import coco, voc, voc_folders, yolo
from .boundary import Boundary
from .raw import RawDataSet, RawImages, RawObjects, RawSplit, folder_split, split_name

__all__ = ["RawDataSet", "RawImages", "RawObjects", "RawSplit", "open_dataset"]

_LABEL_FOLDERS = ("annotations", "annotation", "labels")  # images lie beside these folders


def open_dataset(path: Path | str, *, follow_outside: bool = False) -> RawDataSet:
    """Read the labels of a data set; `examine` checks them and opens the images.

    `path` is a folder, a COCO JSON file or a YOLO YAML file. Images outside the data set's folder are marked and not
    opened, unless `follow_outside` permits it. The data set's folder is `path`, or the folder of that file (the folder
    above where the file is in `annotations` or `labels`; for a YAML file also its `path`).

    Raises DataError when no data set is recognised, listing what was looked for, or when the labels contradict each
    other.
    """
    path = Path(path).expanduser()
    try:
        there, file = path.exists(), path.is_file()
    except (OSError, ValueError):
        there = file = False
    if not there:
        raise DataError(f"{path}: no such file or folder")
    if file:
        return _open_file(path, follow_outside)
    try:
        return _open_folder(path, Boundary(path, follow_outside=follow_outside))
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror or error})") from None


def _open_file(path: Path, follow_outside: bool) -> RawDataSet:
    suffix = path.suffix.lower()
    folder = path.absolute().parent
    boundary = Boundary(
        path.parent, *([folder.parent] if folder.name.lower() in _LABEL_FOLDERS else []), follow_outside=follow_outside
    )
    if suffix == ".json":
        name = split_name(path.stem) or folder_split(path.parent) or "train"
        return coco.read({name: path}, path.parent, boundary)
    if suffix in (".yaml", ".yml"):
        return yolo.read(path, boundary, own_path=True)
    raise DataError(f"{path}: not a data set. Give a folder, a COCO .json or a YOLO .yaml file")


def _open_folder(root: Path, boundary: Boundary) -> RawDataSet:
    files = _coco_files(root)
    yaml = yolo.find(root)
    if files and yaml is not None:
        raise DataError(
            f"{root}: two data sets in one folder: {next(iter(files.values()))} (COCO) and {yaml} (YOLO). "
            "Give one of the files, or move the other away"
        )
    if files:
        return coco.read(files, root, boundary)
    if yaml is not None:
        return yolo.read(yaml, boundary)
    folders = voc_folders.find(root)
    if folders:
        return voc.read(folders, root, boundary)
    names = yolo.find_names(root)
    if names is not None:
        return yolo.read_by_names(names, root, boundary)
    if not any(root.iterdir()):
        raise DataError(f"{root}: an empty folder")
    for below in sorted(path for path in root.iterdir() if path.is_dir()):
        # a zip inside its own folder
        if _coco_files(below) or yolo.find(below) or voc_folders.find(below) or yolo.find_names(below):
            raise DataError(f"{root}: not a data set, but {below} is one. Give that folder")
    raise DataError(
        f"{root}: no data set recognised. Looked for train|valid|test/_annotations.coco.json, annotations/*.json, "
        "data.yaml or classes.txt (YOLO), Annotations/*.xml (Pascal VOC)"
    )


def _coco_files(root: Path) -> dict[str, Path]:
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
    """One file for each split. A single file can have any name and is then the training split."""
    if len(names) == 1:
        return {name or "train": file for file, name in names.items()}
    found: dict[str, Path] = {}
    for file, name in names.items():
        if name is None:
            continue  # captions, results and others beside the splits
        if name in found:
            raise DataError(f"{file}: {found[name]} is also a '{name}' split. Move one away, or give one of the files")
        found[name] = file
    if names and not found:
        some = ", ".join(file.name for file in names)
        raise DataError(f"{next(iter(names)).parent}: which is train? Give one of the files, or rename: {some}")
    order = ("train", "valid", "test")
    return {name: found[name] for name in order if name in found}
