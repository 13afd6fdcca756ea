"""The classes in transformers' config.json → our categories."""

from pathlib import Path
from typing import Any

from ..errors import WeightsError
from ..plural import counted
from ..types import Categories
from .coco_slots import coco_categories
from .fields import refused

Name = str | int | float | None  # of a class in id2label
UNUSED = (None, "N/A")


def categories_of(theirs: dict[str, Any], file: Path, logits: int) -> Categories:
    """COCO's where the names are those of COCO's 91 slots; otherwise a category id is the label, unless we wrote the
    folder.

    Without `id2label` the classes are called LABEL_0, LABEL_1 … as in transformers, `num_labels` or as many as the
    weights have logits of classes. Raises WeightsError for settings that contradict each other or the weights.
    """
    names = _names(theirs, file, logits)
    if all(name in UNUSED for name in names):
        raise refused(file, "id2label", theirs.get("id2label"), "no class has a name")
    ids = theirs.get("condetr_category_ids")
    if ids is not None and not (isinstance(ids, list) and all(_is_id(i) for i in ids) and len(set(ids)) == len(ids)):
        raise refused(file, "condetr_category_ids", ids, "it must be a list of different whole numbers, or left out")
    if ids is None or len(ids) != len(names):  # transformers keeps those of the weights that were fine-tuned
        if _are_cocos(names):
            return coco_categories()
        ids = list(range(len(names)))
    return Categories(tuple(ids), tuple(None if name in UNUSED else str(name) for name in names))


def _are_cocos(names: list[Name]) -> bool:
    """Whether these are the names of COCO's 91 slots, of which some may be unnamed, but not all."""
    coco = coco_categories().names
    fitting = [name in (*UNUSED, f"LABEL_{i}") or name == coco[i] for i, name in enumerate(names[:91])]
    return len(names) == 91 and all(fitting) and bool(set(names) & set(coco) - {None})


def _names(theirs: dict[str, Any], file: Path, logits: int) -> list[Name]:
    """The name of each label."""
    labels, count = theirs.get("id2label"), theirs.get("num_labels")
    if count is not None and (type(count) is not int or not 0 < count < 100_000):
        raise refused(file, "num_labels", count, "it must be the number of classes")
    if labels is None:
        labels = {str(i): f"LABEL_{i}" for i in range(logits if count is None else count)}
    if not isinstance(labels, dict) or not labels or not all(isinstance(name, Name) for name in labels.values()):
        raise refused(file, "id2label", labels, "it must map labels to names")
    if set(labels) != {str(i) for i in range(len(labels))}:
        reason = f"it must number {counted(len(labels), 'class')} from 0 to {len(labels) - 1}"
        raise refused(file, "id2label", labels, reason)
    if count is not None and count != len(labels):
        raise refused(file, "num_labels", count, f"id2label has {counted(len(labels), 'class')}")
    if len(labels) != logits:
        name, value = ("num_labels", count) if theirs.get("id2label") is None else ("id2label", labels)
        raise refused(file, name, value, f"{counted(len(labels), 'class')}, but the weights have {logits}")
    return [labels[str(i)] for i in range(len(labels))]


def _is_id(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def logits_of_classes(shape: tuple[int, ...], is_softmax: bool, file: Path) -> int:
    """The number of classes of a class head whose bias has this shape."""
    count = shape[0] - is_softmax if len(shape) == 1 else 0
    if count < 1:
        raise WeightsError(f"{file}: class_labels_classifier.bias has shape {shape}, which fits no number of classes")
    return count
