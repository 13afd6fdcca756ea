"""Whether COCO's boxes have another form than its own, where the labels declare no sizes: by the images' sizes."""

from collections.abc import Mapping, Sequence

from ..datasets.coco_boxes import other_form
from ..datasets.defects import Finding
from ..datasets.raw import RawDataSet, RawSplit
from .facts import ImageFacts


def check_forms(raw: RawDataSet, facts: Mapping[str, Sequence[ImageFacts]]) -> list[Finding]:
    """One finding for each such split, which reading the labels alone did not find."""
    return [
        Finding("corner_boxes", split.name, split.labels, None, f"read as {form}, all boxes would lie in their images")
        for split in raw.splits
        if raw.format in ("coco", "imagefolder") and not (split.images.declared > 0).all()
        if (form := _form(split, facts[split.name])) is not None
    ]


def _form(split: RawSplit, facts: Sequence[ImageFacts]) -> str | None:
    objects = split.objects
    if objects.relative:
        return None
    sizes = [
        (0, 0) if one.problem or (size > 0).all() else one.upright for one, size in zip(facts, split.images.declared)
    ]
    columns = (objects.image, objects.category, *objects.boxes.T, objects.crowd, objects.areas)
    return other_form(list(zip(*(column.tolist() for column in columns))), sizes)
