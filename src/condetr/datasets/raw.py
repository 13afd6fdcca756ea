"""Labels as they are in the files, unchecked, in one form for all formats: flat arrays with a row for each object."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..image_keys import Key, keys_of_files
from ..shapes import Bool, Float, Int
from ..types import Categories
from .boundary import Boundary
from .defects import Finding, IdOf


@dataclass(frozen=True, slots=True)
class RawImages:
    """One row for each image. `keys` are their ids as the labels write them, `ids` are numbers that are theirs if all
    of them are numbers. `label_files` can be one and the same. `declared` is the (width, height) in the labels, 0 where
    they have none. Images that are `outside` the data set's folder must not be opened."""

    ids: Int[np.ndarray, " N"]
    keys: tuple[Key, ...]
    paths: tuple[Path, ...]
    label_files: tuple[Path, ...]
    declared: Int[np.ndarray, "N 2"]
    outside: Bool[np.ndarray, " N"]


@dataclass(frozen=True, slots=True)
class RawObjects:
    """One row for each object. `image` is a row of RawImages; `category` the data set's own number, known or not.

    `boxes` are xyxy, in pixels of the declared frame, or if `relative` in fractions of the upright image; they can be
    NaN or infinite. `areas` are in square pixels, NaN where the file has none. `places` locate the object in its label
    file, as numbers of what `places_of` says; -1 where the file has none.
    """

    image: Int[np.ndarray, " M"]
    category: Int[np.ndarray, " M"]
    boxes: Float[np.ndarray, "M 4"]
    crowd: Bool[np.ndarray, " M"]
    areas: Float[np.ndarray, " M"]
    places: Int[np.ndarray, " M"]
    places_of: IdOf
    relative: bool


@dataclass(frozen=True, slots=True)
class RawSplit:
    """`name` is "train", "valid" or "test"; `labels` is the file or folder of the labels."""

    name: str
    labels: Path
    images: RawImages
    objects: RawObjects


@dataclass(frozen=True, slots=True)
class RawDataSet:
    """`format` is "coco", "yolo", "voc" or "imagefolder"; `findings` are the defects seen while reading."""

    root: Path
    format: str
    categories: Categories
    splits: tuple[RawSplit, ...]
    findings: tuple[Finding, ...]


_SPLIT_WORDS = {
    "train": ("train", "training", "trainval", "trn"),
    "valid": ("valid", "val", "validation", "minival", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "holdout"),
}
_SPLIT_OF = {word: split for split, words in _SPLIT_WORDS.items() for word in words}
_SPLIT_OF |= {
    f"{word}{end}": split for word, split in _SPLIT_OF.items() for end in ("set", "list")
}  # valset, trainlist
_WITH_SPLITS = {  # words beside that of a split: `train_images`, `list_val`
    "set", "split", "data", "dataset", "image", "images", "img", "imgs", "label", "labels", "annotations", "list",
    "lists", "file", "files", "filelist", "filenames", "names", "paths", "ids", "index",
}  # fmt: skip


def split_name(text: str) -> str | None:
    """ "train", "valid" or "test" for a file or folder name such as `instances_val2017`; None if it contains none.

    If a name contains several, as `test-dev` does, the first one counts.
    """
    return next((_SPLIT_OF[word] for word in re.split(r"[^a-z]+", text.lower()) if word in _SPLIT_OF), None)


def folder_split(folder: Path | str) -> str | None:
    """As `split_name`, for a folder or a list: only if its whole name is a split's name, as in `val2017`, apart from a
    year and words such as `images`."""
    name = folder if isinstance(folder, str) else folder.name
    words = [word for word in re.split(r"[\s_.-]+", name.lower()) if not re.fullmatch(r"(19|20)\d\d", word)]
    words = [word for word in words if word not in _WITH_SPLITS]
    return split_name(words[0]) if len(words) == 1 and re.fullmatch(r"[a-z]+[0-9]*", words[0]) else None


def objects(
    rows: list[tuple[int, int, float, float, float, float, bool, float, int]], places_of: IdOf, *, relative: bool
) -> RawObjects:
    """From rows of (image, category, x1, y1, x2, y2, crowd, area, place)."""
    table = np.array([row[2:6] for row in rows], dtype=np.float64).reshape(-1, 4)
    return RawObjects(
        image=np.array([row[0] for row in rows], dtype=np.int64),
        category=np.array([row[1] for row in rows], dtype=np.int64),
        boxes=table,
        crowd=np.array([row[6] for row in rows], dtype=bool),
        areas=np.array([row[7] for row in rows], dtype=np.float64),
        places=np.array([row[8] for row in rows], dtype=np.int64),
        places_of=places_of,
        relative=relative,
    )


def images(
    rows: list[tuple[int, Path, int, int]],
    label_files: Sequence[Path],
    boundary: Boundary,
    keys: Sequence[Key] | None = None,
) -> RawImages:
    """From rows of (id, path, declared width, declared height). Without `keys` they come from the files' names."""
    paths = tuple(row[1] for row in rows)
    return RawImages(
        ids=np.array([row[0] for row in rows], dtype=np.int64),
        keys=keys_of_files(paths) if keys is None else tuple(keys),
        paths=paths,
        label_files=tuple(label_files),
        declared=np.array([row[2:4] for row in rows], dtype=np.int64).reshape(-1, 2),
        outside=np.array([not boundary.contains(row[1]) for row in rows], dtype=bool),
    )
