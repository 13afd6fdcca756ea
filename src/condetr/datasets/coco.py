"""COCO JSON to raw labels: one file for each split, and one list of classes over all splits."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..image_keys import Key, key_of
from ..plural import counted
from . import coco_files
from .boundary import Boundary
from .coco_boxes import box_of, other_form, part_of_images, without_fractions
from .coco_categories import categories_of, merged
from .coco_images import ImageFinder
from .coco_json import float_or_nan, list_at, read_json, side, whole_number
from .coco_splits import divided
from .defects import Finding, IdOf
from .raw import RawDataSet, RawSplit, images, objects

# where an image's name is looked for: an address in LVIS, a path of coco-annotator
_NAMES = ("file_name", "filename", "coco_url", "path", "image_name", "image", "name", "flickr_url", "url")
_TRUE = (1, "1", "1.0", "true", "True", "TRUE")


def read(files: dict[str, Path], root: Path, boundary: Boundary) -> RawDataSet:
    """Read one JSON file for each split, or one for several.

    Raises DataError for invalid JSON and contradictions between splits."""
    contents = {name: (file, read_json(file)) for name, file in files.items()}
    if len(files) == 1 and coco_files.split_of(next(iter(files.values()))) is None:
        (file, content), *_ = contents.values()
        contents = {name: (file, part) for name, part in divided(content).items()}
    return read_contents(contents, root, boundary, "coco", own_ids=True)


def read_contents(
    contents: dict[str, tuple[Path, dict[str, Any]]], root: Path, boundary: Boundary, format: str, *, own_ids: bool
) -> RawDataSet:
    """From what is in the file of each split, in COCO's form; without `own_ids` images are known by their files' names.

    Raises DataError for contradictions between splits.
    """
    classes = next((part["categories"] for _, part in contents.values() if part.get("categories")), None)
    contents = {  # a split without objects may list no classes
        name: (file, part if part.get("categories") or part.get("annotations") else part | {"categories": classes})
        for name, (file, part) in contents.items()
    }
    splits = [_Split(name, file, content, root, boundary, own_ids) for name, (file, content) in contents.items()]
    used = {category for split in splits for category in split.used}
    categories, findings = merged({_relative(split.file, root): split.categories for split in splits}, used, root)
    findings += [finding for split in splits for finding in split.findings]
    return RawDataSet(root, format, categories, tuple(split.raw() for split in splits), tuple(findings))


@dataclass
class _Split:
    """One file as it becomes a RawSplit."""

    name: str
    file: Path
    content: dict[str, Any]
    root: Path
    boundary: Boundary
    own_ids: bool
    findings: list[Finding] = field(default_factory=list)
    _rows_of_names: dict[str, int | None] | None = None

    def __post_init__(self) -> None:
        content = self.content
        self.categories = categories_of(content.get("categories"), self.file)
        self.named = {category.name: category.id for category in self.categories}
        self.rows: list[tuple[int, Path, int, int]] = []
        self.row_of = self._images(list_at(content, "images", self.file))
        self.objects = self._annotations(list_at(content, "annotations", self.file))
        self.used = {row[1] for row in self.objects}
        self.objects, self.relative = without_fractions(self.objects)
        sizes = [row[2:4] for row in self.rows]
        if self.relative:
            self._find("fraction_boxes", None, f"{counted(len(self.objects), 'box')}, all between 0 and 1")
        elif form := other_form(self.objects, sizes):
            self._find("corner_boxes", None, f"read as {form}, all boxes would lie in their images")
        elif limit := part_of_images(self.objects, sizes):
            self._find("scaled_boxes", None, f"{counted(len(self.objects), 'box')}, all between 0 and {limit}")

    def raw(self) -> RawSplit:
        rows = images(
            self.rows, [self.file] * len(self.rows), self.boundary, list(self.row_of) if self.own_ids else None
        )
        found = objects(self.objects, "annotation", relative=self.relative)
        if self.relative:  # so are the areas
            found = replace(found, areas=np.full(len(found.areas), np.nan))
        return RawSplit(self.name, self.file, rows, found)

    def _images(self, entries: list[Any]) -> dict[Key, int]:
        row_of: dict[Key, int] = {}
        names: list[str] = []
        sizes: list[tuple[int, int]] = []
        for i, entry in enumerate(entries):
            key = key_of(entry.get("id")) if isinstance(entry, dict) else None
            name = None if key is None else next((entry[k] for k in _NAMES if entry.get(k) not in (None, "")), None)
            name = str(name) if whole_number(name) is not None else name
            if key is None or not isinstance(name, str) or not name.strip() or "\0" in name:
                self._find("malformed_entry", None, f"images[{i}] has no valid id or file_name")
            elif key in row_of:
                self._find(
                    "duplicate_image_id", key, f"images[{i}] ({name}) has the id of {names[row_of[key]]}", "image"
                )
            else:
                row_of[key] = len(names)
                names.append(name)
                sizes.append((side(entry.get("width")), side(entry.get("height"))))
        self.names = names
        find = ImageFinder(names, self.file, self.root, self.name, self.boundary)
        # ids that are text (some exporters write the file's stem) are replaced by numbers, which COCO results need
        ids = list(row_of) if all(isinstance(key, int) for key in row_of) else range(1, len(names) + 1)
        self.rows = [(int(id), find(name), *size) for id, name, size in zip(ids, names, sizes)]
        first: dict[Path, int] = {}
        for id, path, *_ in self.rows:
            if first.setdefault(path, id) != id:
                self.findings.append(Finding("shared_file", self.name, path, id, f"also of image {first[path]}"))
        return row_of

    def _row_of_name(self, text: str) -> int | None:
        """The row of the image whose name an annotation has instead of the image's id, with or without its suffix."""
        if self._rows_of_names is None:
            self._rows_of_names = {}
            for row, name in enumerate(self.names):
                for form in {name, name.rpartition(".")[0]} - {""}:
                    self._rows_of_names[form] = row if form not in self._rows_of_names else None  # ambiguous
        return self._rows_of_names.get(text)

    def _annotations(self, entries: list[Any]) -> list[tuple[int, int, float, float, float, float, bool, float, int]]:
        rows = []
        seen: set[int] = set()
        row_of = self.row_of
        around = 0
        for i, entry in enumerate(entries):
            if not isinstance(entry, dict):
                self._find("malformed_entry", None, f"annotations[{i}] is not an object")
                continue
            if "segments_info" in entry:
                raise DataError(
                    f"{self.file}: COCO's panoptic labels are not read; give the instances_….json of these images, or "
                    "convert the file with panopticapi's panoptic2detection_coco_format.py"
                )
            place = whole_number(entry.get("id"))
            image, category = key_of(entry.get("image_id")), whole_number(entry.get("category_id"))
            if category is None and isinstance(entry.get("category_id"), str):
                category = self.named.get(entry["category_id"].strip())
            around += "around" in entry
            box = entry["around"] if "around" in entry else entry.get("bbox")
            try:
                if isinstance(box, list | tuple) and len(box) == 4 and not isinstance(box[0], str):
                    x, y, w, h = map(float, box)
                else:
                    x, y, w, h = box_of(box)
                if entry.get("bbox_mode") == 0 and isinstance(box, list):  # Detectron2's BoxMode.XYXY_ABS
                    w, h = w - x, h - y
            except (TypeError, ValueError, OverflowError) as error:
                reason = str(error) if "bbox" in str(error) else "no bbox of four numbers"
                self._find("malformed_entry", place, f"annotations[{i}] has {reason}")
                continue
            if image is None or category is None:
                what = "image_id" if image is None else "category_id"
                self._find("malformed_entry", place, f"annotations[{i}] has no valid {what}")
                continue
            if place is not None:
                if place in seen:
                    self._find("duplicate_annotation_id", place, f"annotations[{i}] has the id of another")
                seen.add(place)
            row = row_of.get(image)
            if row is None:  # one of the two as 7.0 in text
                other = whole_number(image) if isinstance(image, str) else f"{image}.0"
                row = row_of.get(other) if other is not None else None
            if row is None and isinstance(image, str):
                row = self._row_of_name(image)
            if row is None:
                self._find("orphan_annotation", place, f"annotations[{i}]: image {image} is not listed")
                continue
            crowd, area = entry.get("iscrowd") in _TRUE, float_or_nan(entry.get("area"))
            rows.append((row, category, x, y, x + w, y + h, crowd, area, -1 if place is None else place))
        if around:
            self._find("mask_boxes", None, f"{counted(around, 'object')} with a segmentation and no box")
        return rows

    def _find(self, name: str, id: Key | None, detail: str, id_of: IdOf = "annotation") -> None:
        self.findings.append(Finding(name, self.name, self.file, id, detail, id_of))


def _relative(file: Path, root: Path) -> str:
    """`train/_annotations.coco.json`: the files of all splits can have the same name."""
    return str(file.relative_to(root)) if file.is_relative_to(root) else file.name
