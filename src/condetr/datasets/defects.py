"""Every defect the doctor knows, by name: how bad it is, what training does about it, and how a person mends it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
Action = Literal["keep", "drop", "clip", "turn", "scale", "quarantine", "refuse"]


@dataclass(frozen=True, slots=True)
class Defect:
    """`error`: the data say something impossible; `warning`: probably a mistake; `note`: worth knowing.

    Actions: `keep` changes nothing; `drop` leaves one object (or one line) out; `clip`, `turn` and `scale` mend the
    box; `quarantine` leaves the whole image out; `refuse` starts no training.
    """

    name: str
    severity: Severity
    action: Action
    meaning: str
    remedy: str


_ALL = (
    # what stops a training
    Defect("no_train", "error", "refuse", "there is no training split", "name a folder or file 'train'"),
    Defect("nothing_to_learn", "error", "refuse", "no object is left to learn from", "mend the errors listed here"),
    # images
    Defect("missing_image", "error", "quarantine", "the labels name an image that is not there", "add the file"),
    Defect("unreadable_image", "error", "quarantine", "the file is no image that can be read", "replace the file"),
    Defect("truncated_image", "error", "quarantine", "the file is cut short", "copy or download it again"),
    Defect("wrong_extension", "note", "keep", "the content is of another type than the suffix says", "rename the file"),
    Defect("size_missing", "note", "keep", "the labels declare no size, or 0", "write the real size"),
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
        "nothing: image and boxes are turned together",
    ),
    Defect(
        "orientation_ambiguous", "note", "keep",
        "EXIF turns the image but not its size; the boxes are taken to be in the frame a person sees",
        "check one such image in the report",
    ),
    Defect("duplicate_image", "warning", "keep", "the same image twice in one split", "remove one of them"),
    Defect(
        "leak", "error", "quarantine", "a training image is also held out for judging",
        "nothing: the training copy is left out, or remove one of them",
    ),
    Defect(
        "splits_identical", "error", "keep", "most training images are also held out: every score will flatter",
        "give images that training does not see",
    ),
    Defect("leak_held_out", "warning", "keep", "the same image in valid and in test", "remove one of them"),
    Defect(
        "leak_by_source", "warning", "keep", "an augmented copy of a training image is held out",
        "split before augmenting",
    ),
    Defect("no_objects", "note", "keep", "nothing is labelled in the image; it teaches background", "nothing"),
    Defect(
        "too_many_objects", "warning", "keep", "more objects than the model has queries",
        "raise model.queries (--queries N)",
    ),
    # boxes
    Defect("not_finite_box", "error", "drop", "the box holds NaN or infinity", "draw the box again"),
    Defect("empty_box", "error", "drop", "the box has no width or no height, or a negative one", "draw the box again"),
    Defect("outside_box", "error", "drop", "the box lies wholly outside the image", "draw the box again"),
    Defect("clipped_box", "warning", "clip", "the box reaches out of the image by more than a pixel", "clip the box"),
    Defect("rounded_box", "note", "clip", "the box reaches out of the image by a pixel at most", "nothing"),
    Defect("tiny_box", "note", "keep", "a side is shorter than 3 pixels", "check that it was no slip of the mouse"),
    Defect("duplicate_box", "warning", "drop", "the same box and class twice in one image", "remove one of them"),
    Defect("crowd_box", "note", "keep", "a crowd region: not learnt, and ignored when judging", "nothing"),
    # classes
    Defect("unknown_category", "error", "drop", "the object's category is in no list of classes", "add the class"),
    Defect("empty_class", "warning", "keep", "a class without a single training object", "add examples"),
    Defect("class_missing", "note", "keep", "a class that this split has no object of", "nothing"),
    Defect("same_name", "warning", "keep", "two category ids have the same class name", "merge the two classes"),
    # label files
    Defect("orphan_annotation", "error", "drop", "the object's image is not in the list", "add the image"),
    Defect("orphan_labels", "warning", "drop", "a label file without an image", "add the image"),
    Defect("duplicate_annotation_id", "warning", "keep", "two objects have the same id", "number them anew"),
    Defect("duplicate_image_id", "error", "drop", "two images have the same id; the first stays", "number them anew"),
    Defect("malformed_entry", "error", "drop", "an entry or line that cannot be understood", "write it again"),
    Defect("malformed_file", "error", "quarantine", "a label file that cannot be read", "write it again"),
)  # fmt: skip

_RANK = {"error": 0, "warning": 1, "note": 2}
DEFECTS = {defect.name: defect for defect in _ALL}


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect in one place. `file` is the image's or label file's name; `id` the object's or image's, if any."""

    name: str
    split: str
    file: str
    id: int | None
    detail: str

    @property
    def defect(self) -> Defect:
        return DEFECTS[self.name]


def grouped(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    """Findings by defect, the gravest and then the most frequent first."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.name, []).append(finding)
    return sorted(groups.items(), key=lambda item: (_RANK[DEFECTS[item[0]].severity], -len(item[1])))
