"""Open a folder or file of labelled images: COCO JSON (also Roboflow's), YOLO or Pascal VOC, recognised by itself."""

from itertools import islice
from pathlib import Path
from typing import NoReturn

from ..arguments import check_path
from ..errors import DataError
from ..home import with_home
from ..images.decode import SUFFIXES
from ..own_folders import is_run
from ..plural import listed
from . import coco, coco_files, coco_json, imagefolder, unlabelled, unread, voc, voc_folders, yolo, yolo_folders
from .boundary import Boundary
from .raw import RawDataSet, RawImages, RawObjects, RawSplit, folder_split, split_name
from .walk import files_below

__all__ = ["RawDataSet", "RawImages", "RawObjects", "RawSplit", "open_dataset"]

_MOST_FOLDERS = 200  # are looked at for a data set


def open_dataset(path: Path | str, *, follow_outside: bool = False) -> RawDataSet:
    """Read the labels of a data set; `examine` checks them and opens the images.

    `path` is a folder, a COCO JSON file or a YOLO YAML file. Images outside the data set's folder are marked and not
    opened, unless `follow_outside` permits it. The data set's folder is `path`, or the folder of that file (the folder
    above where the file is in `annotations` or `labels`; for a YAML file also its `path`).

    Raises DataError when no data set is recognised, listing what was looked for, or when the labels contradict each
    other.
    """
    path = with_home(path)
    check_exists(path)
    if path.is_file():
        return _open_file(path, follow_outside)
    try:
        return _open_folder(path, Boundary(path, follow_outside=follow_outside))
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror or error})") from None


def check_exists(path: Path) -> None:
    """Raises DataError where there is no such file or folder."""
    check_path(path, DataError)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")


def _open_file(path: Path, follow_outside: bool) -> RawDataSet:
    suffix = path.suffix.lower()
    root = coco_files.root_of(path)
    boundary = Boundary(path.parent, root, follow_outside=follow_outside)
    if suffix == ".json":
        try:
            return coco.read({coco_files.split_of(path) or "train": path}, root, boundary)
        except coco_json.NotCocoError:
            _refuse_unread(path)
            raise
    if suffix in (".yaml", ".yml"):
        return yolo.read(path, boundary, own_path=True)
    if path.name.lower() == imagefolder.NAME:
        return imagefolder.read([path], root, boundary)
    _refuse_unread(path)
    raise DataError(f"{path}: not a data set. Give a folder, a COCO .json or a YOLO .yaml file")


def _open_folder(root: Path, boundary: Boundary) -> RawDataSet:
    if is_run(root):
        raise DataError(f"{root}: a run's folder, not a data set")
    files, yaml, folders = coco_files.find(root), yolo.find(root), voc_folders.find(root)
    names = None if yaml is not None else _find_names(root, alone=not files and not folders)
    voc_root = next((group.root for groups in folders.values() for group in groups), None)
    if names is not None and voc_root == names.parent:  # labelImg wrote both for some images: XML says more
        names = None
    _refuse_several(
        root, {"COCO": next(iter(files.values()), None), "YOLO": yaml or names, "Pascal VOC": voc_root}, yaml
    )
    if files:
        try:
            return coco.read(files, root, boundary)
        except coco_json.NotCocoError:
            _refuse_unread(root)  # others have a list of images too
            raise
    if yaml is not None:
        return yolo.read(yaml, boundary)
    if folders:
        if not any(file.suffix.lower() in SUFFIXES for file in files_below(root)):
            _refuse_part(root)
        try:
            return voc.read(folders, root, boundary)
        except DataError:
            _refuse_unread(root)  # CVAT's labels are XML too
            raise
    if names is not None:
        return yolo.read_by_names(names, root, boundary)
    if metadata := imagefolder.find(root):
        return imagefolder.read(metadata, root, boundary)
    _refuse_unrecognised(root)


def _refuse_several(root: Path, found: dict[str, Path | None], yaml: Path | None) -> None:
    """Raise DataError for data sets of several formats in one folder. `found` has a place of each format's labels."""
    there = {name: place for name, place in found.items() if place is not None}
    if len(there) > 1:
        what = listed([f"{place} ({name})" for name, place in there.items()])
        file = found["COCO"] or yaml
        way_out = f"Give {file}, or move the other away" if file else "Move one of them away"
        number = "two" if len(there) == 2 else "three"
        raise DataError(f"{root}: {number} data sets in one folder: {what}. {way_out}")


def _refuse_unrecognised(root: Path) -> NoReturn:
    """Raise DataError for a folder with no data set that is read: what is known about it, and what was looked for."""
    if not any(root.iterdir()):
        raise DataError(f"{root}: an empty folder")
    _refuse_above(root)
    _refuse_part(root)
    yolo_folders.refuse_nameless(root)
    if reason := unlabelled.own_output(root):
        raise DataError(f"{root}: {reason}")
    _refuse_unread(root)
    yolo_folders.refuse_invalid(root)
    yolo.refuse_nameless(root)
    images, labels = unlabelled.only_images(root), unread.unknown(root)
    what, way_out = "", ""
    if labels is not None:
        what = f": the form of {labels} is not known"
        way_out = ". Export or convert the labels to one of these"
    elif images:
        what = f": {images}"
        way_out = ". Draw boxes with a labelling tool such as CVAT or Label Studio, which export these"
    raise DataError(
        f"{root}: no data set recognised{what}. Looked for "
        "train|valid|test/_annotations.coco.json, annotations/*.json, data.yaml or classes.txt (YOLO), "
        f"Annotations/*.xml (Pascal VOC), metadata.jsonl (Hugging Face){way_out}"
    )


def _refuse_above(root: Path) -> None:
    """Raise DataError for a folder with a data set in one of its folders, at most two deep (a zip inside its own
    folder)."""
    below = _subfolders(root)
    for folder in islice((*below, *(path for one in below for path in _subfolders(one))), _MOST_FOLDERS):
        if _is_data_set(folder):
            beside = [path for path in islice(_subfolders(folder.parent), _MOST_FOLDERS) if _is_data_set(path)]
            if len(beside) > 1:
                some = ", ".join(map(str, beside[:4])) + (", …" if len(beside) > 4 else "")
                raise DataError(
                    f"{root}: not a data set, but {len(beside)} of its folders are: {some}. Give one of them, or unite "
                    "them (splits are folders named train, valid and test)"
                )
            file = yolo.find(folder)  # it may name folders above its own
            if file is None and not any(path.suffix.lower() in SUFFIXES for path in files_below(folder)):
                raise DataError(
                    f"{root}: labels without images are in {folder}. Rename it to annotations (COCO), Annotations "
                    "(Pascal VOC) or labels (YOLO), and the folder of the images to images"
                )
            what, kind = (file, "file") if file is not None else (folder, "folder")
            raise DataError(f"{root}: not a data set, but {what} is one. Give that {kind}")


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _refuse_part(root: Path) -> None:
    """Raise DataError for the folder of the images, the labels or a split of a data set."""
    name, above = root.resolve().name, root.resolve().parent
    if (name.lower() in (*voc_folders.ANNOTATIONS, *voc_folders.IMAGES) or split_name(name)) and _is_data_set(above):
        raise DataError(f"{root}: a part of the data set in {above}. Give that folder")


def whole(path: Path) -> str:
    """The end of a message about a split that is missing, where `path` is one split of a data set, as a folder or its
    file: which folder to give. Empty for any other data set."""
    folder = path.parent if path.is_file() else path
    above = folder.resolve().parent
    if folder_split(folder.resolve()) is None or not _is_data_set(above):
        return ""
    shown = folder.parent if folder.name not in ("", ".", "..") else above
    return f". It is a part of the data set in {shown}: give that folder"


def _is_data_set(folder: Path) -> bool:
    finders = (coco_files.find, yolo.find, voc_folders.find, yolo_folders.find_names, imagefolder.find)
    try:
        return any(find(folder) for find in finders)
    except (DataError, OSError):
        return False


def _find_names(root: Path, alone: bool) -> Path | None:
    try:
        return yolo_folders.find_names(root)
    except DataError:
        if alone:
            raise
        return None


def _refuse_unread(path: Path) -> None:
    if found := unread.recognise(path):
        name, remedy, file = found
        raise DataError(f"{file}: {name} is not read; {remedy}")
