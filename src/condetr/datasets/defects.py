"""Every defect that is reported: its name, severity, what training does about it, and how to fix it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..image_keys import Key

Severity = Literal["error", "warning", "note"]
IdOf = Literal["image", "annotation", "category", "line", "object"]
Action = Literal["keep", "drop", "clip", "turn", "scale", "sort", "quarantine", "refuse"]


@dataclass(frozen=True, slots=True)
class Defect:
    """`error`: certainly wrong; `warning`: probably a mistake; `note`: good to know.

    Actions: `keep` changes nothing; `drop` leaves out one object (or line); `clip`, `turn`, `scale` and `sort` fix
    the box; `quarantine` leaves out the image; `refuse`: training does not start.
    """

    name: str
    severity: Severity
    action: Action
    meaning: str
    remedy: str


_ALL = (
    # training cannot start
    Defect("no_train", "error", "refuse", "there is no training split", "name a folder or file 'train'"),
    Defect("nothing_to_learn", "error", "refuse", "no object is left to learn from", "fix the errors listed here"),
    # images
    Defect("missing_image", "error", "quarantine", "the labels name an image that does not exist", "add the file"),
    Defect("unreadable_image", "error", "quarantine", "the file is not a readable image", "replace the file"),
    Defect("truncated_image", "error", "quarantine", "the file is cut short", "copy or download it again"),
    Defect(
        "outside_folder", "error", "quarantine", "the labels name a file outside the data set's folder",
        "move it into the folder, or permit it: follow_outside, on the command line --follow-outside",
    ),
    Defect(
        "broken_link", "error", "drop", "a link to a folder was copied as a text file",
        "copy the folder itself (with Git: git config core.symlinks true, and check out again)",
    ),
    Defect("wrong_extension", "note", "keep", "the file has another format than its suffix", "rename the file"),
    Defect("size_missing", "note", "keep", "the labels declare no image size, or 0", "write the real size"),
    Defect(
        "size_mismatch", "warning", "keep", "the declared size is not the image's; the boxes fit the image",
        "write the real size",
    ),
    Defect(
        "size_scaled", "warning", "scale", "the image was resized after labelling", "write the boxes for the new size"
    ),
    Defect(
        "size_contradiction", "error", "quarantine",
        "the declared size is not the image's, and the boxes do not fit the image", "label the image again",
    ),
    Defect(
        "turned_boxes", "warning", "turn", "the boxes were drawn before the EXIF orientation was applied",
        "nothing: the boxes are rotated like the image",
    ),
    Defect(
        "orientation_ambiguous", "note", "keep",
        "EXIF rotates the image but keeps its size; the boxes are assumed to be in the upright image",
        "check one such image in the report",
    ),
    Defect("duplicate_image", "warning", "keep", "the same image occurs twice in one split", "remove one of them"),
    Defect(
        "leak", "error", "quarantine", "a training image is also in valid or test",
        "nothing: it is left out of training; or remove one of them",
    ),
    Defect(
        "splits_identical", "error", "keep", "most training images are also in valid or test: scores will be too high",
        "evaluate on images that are not in train",
    ),
    Defect("leak_held_out", "warning", "keep", "the same image is in valid and test", "remove one of them"),
    Defect(
        "leak_by_source", "warning", "keep", "an augmented copy of a training image is in valid or test",
        "split before augmenting",
    ),
    Defect(
        "other_split", "warning", "keep", "a folder or list with the name of another split has training images",
        "name folders and lists train, valid and test, or move these images",
    ),
    Defect("no_objects", "note", "keep", "the image has no labelled object: it is trained on as background", "nothing"),
    Defect(
        "too_many_objects", "warning", "keep", "the image has more objects than the model has queries",
        "increase model.queries, on the command line --queries N",
    ),
    # boxes
    Defect("not_finite_box", "error", "drop", "the box contains NaN or infinity", "draw the box again"),
    Defect("empty_box", "error", "drop", "the box has no width or no height", "draw the box again"),
    Defect(
        "swapped_corners", "warning", "sort", "the width or height is negative: the corners are swapped",
        "write the left and the upper edge first",
    ),
    Defect("outside_box", "error", "drop", "the box is completely outside the image", "draw the box again"),
    Defect("clipped_box", "warning", "clip", "the box exceeds the image by more than a pixel", "clip the box"),
    Defect("rounded_box", "note", "clip", "the box exceeds the image by at most a pixel", "nothing"),
    Defect("tiny_box", "note", "keep", "a side is shorter than 3 pixels", "check that it is not an accident"),
    Defect(
        "fraction_boxes", "error", "scale", "all boxes lie between 0 and 1: they are fractions of the image",
        "write the boxes in pixels, as COCO's format requires",
    ),
    Defect(
        "scaled_boxes", "warning", "keep",
        "all boxes lie near the upper left corner of their images: they may be in percent or in thousandths",
        "write the boxes in pixels, as COCO's format requires",
    ),
    Defect(
        "corner_boxes", "error", "keep",
        "the boxes look like x1, y1, x2, y2 or another form: many exceed their images, or have other areas",
        "write the boxes as the format requires: x, y, width, height in COCO; center, width, height in YOLO",
    ),
    Defect("mask_boxes", "note", "keep", "the box around the segmentation is used", "nothing"),
    Defect("duplicate_box", "warning", "drop", "the same box and class occur twice in one image", "remove one of them"),
    Defect("crowd_box", "note", "keep", "a crowd region: not trained on, and ignored in evaluation", "nothing"),
    # classes
    Defect("unknown_category", "error", "drop", "the object's category is not in the list of classes", "add the class"),
    Defect("empty_class", "warning", "keep", "a class without training objects", "add examples"),
    Defect("class_missing", "note", "keep", "a class without objects in this split", "nothing"),
    Defect("same_name", "warning", "keep", "two category ids have the same class name", "merge the two classes"),
    Defect(
        "similar_names", "warning", "keep", "the names of two classes differ only in case, spaces, - or _",
        "merge the two classes, if they are one",
    ),
    Defect(
        "shifted_categories", "error", "keep",
        "some objects have unknown classes, and none would if all numbers were one larger, or smaller",
        "number the classes in the labels as in the list of classes (from 0 in YOLO's labels)",
    ),
    # label files
    Defect("orphan_annotation", "error", "drop", "the object's image is not listed", "add the image"),
    Defect("orphan_labels", "warning", "drop", "a label file without an image", "add the image"),
    Defect(
        "unlisted_images", "note", "drop", "images beside those of the data set that no label or list names",
        "label them, or list them without objects, to train on them as background",
    ),
    Defect("unlisted_labels", "note", "drop", "label files that no split's list names", "add them to a list"),
    Defect("duplicate_annotation_id", "warning", "keep", "two objects have the same id", "renumber them"),
    Defect("duplicate_image_id", "error", "drop", "two images have the same id; the first is used", "renumber them"),
    Defect(
        "shared_file", "error", "keep", "two images have the same file, so the labels of one of them are wrong for it",
        "give every image its own file (frames of two videos may have the same names)",
    ),
    Defect(
        "shared_labels", "warning", "keep", "two images have the same label file, as an image and its mask may have",
        "remove the image that is not meant, or give every image its own name",
    ),
    Defect(
        "extra_number", "warning", "keep",
        "numbers follow the box, such as a confidence, a track or keypoints: they are not used",
        "nothing, if these are labels and not the output of a detector",
    ),
    Defect("malformed_entry", "error", "drop", "an entry or line cannot be parsed", "correct it"),
    Defect("malformed_file", "error", "quarantine", "a label file cannot be read", "replace it"),
)  # fmt: skip

SEVERITIES = {"error": 0, "warning": 1, "note": 2}  # by rank
DEFECTS = {defect.name: defect for defect in _ALL}


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect in one place. `file` is the image or label file, as a path that can be opened. `id` belongs to what
    `id_of` says: an image or annotation (as the labels write it), a category, a line or object of the file (from 1)."""

    name: str
    split: str
    file: Path | None
    id: Key | None
    detail: str
    id_of: IdOf = "image"

    def place(self, root: Path) -> str:
        """Where it is: `train/a.txt:3`, `train/a.jpg, annotation 7`; files below `root` relative to it."""
        file, id = self.file, self.id
        if file is None:
            return self.split
        text = str(file.relative_to(root) if file.is_relative_to(root) else file)
        if id is None or (self.id_of == "image" and file.suffix.lower() != ".json"):
            return text
        return f"{text}:{id}" if self.id_of == "line" else f"{text}, {self.id_of} {id}"

    @property
    def defect(self) -> Defect:
        return DEFECTS[self.name]


def unlisted_labels(files: Sequence[Path]) -> Finding:
    """One finding about label files that no split's list names."""
    some = ", ".join(file.name for file in files[:3]) + ("" if len(files) < 4 else ", …")
    return Finding("unlisted_labels", "", files[0], None, f"{len(files)} label files are in no list: {some}")


def grouped(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    """Findings by defect, the most severe first, then the most frequent."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.name, []).append(finding)
    return sorted(groups.items(), key=lambda item: (SEVERITIES[DEFECTS[item[0]].severity], -len(item[1])))
