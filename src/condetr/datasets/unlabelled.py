"""Folders that are no data set of boxes: of a run or weights, of images by class, of images without labels."""

from itertools import islice
from pathlib import Path

from ..images.decode import SUFFIXES
from ..own_folders import holds_weights, is_run
from .raw import split_name
from .voc_folders import IMAGES
from .walk import files_below

_MOST = 10_000  # files that are looked at


def own_output(root: Path) -> str | None:
    """What a folder of weights or of runs is; None for any other."""
    if holds_weights(root):
        return "a folder of weights, not a data set"
    if run := next((folder for folder in (*root.glob("*"), *root.glob("*/*")) if is_run(folder)), None):
        return f"not a data set: {run} is a run's folder"
    return None


def only_images(root: Path) -> str | None:
    """What is in a folder of images; None where it has no image."""
    images = (file for file in islice(files_below(root), _MOST) if file.suffix.lower() in SUFFIXES)
    folders = {file.parent for file in images}
    if not folders:
        return None
    classes = sorted({folder.name for folder in folders if folder != root and not _is_usual(folder)})
    if len(classes) < 2:
        return "images without boxes"
    some = ", ".join(classes[:4]) + (", …" if len(classes) > 4 else "")
    return f"images in the folders {some}, as for classification, without boxes"


def _is_usual(folder: Path) -> bool:
    return split_name(folder.name) is not None or folder.name.lower() in IMAGES
