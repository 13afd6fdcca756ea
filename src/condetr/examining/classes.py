"""Checks of the list of classes: names that are nearly the same, and labels whose numbers are one off."""

import re

from ..datasets.defects import Finding
from ..datasets.raw import RawDataSet
from ..types import Categories


def check_classes(raw: RawDataSet) -> list[Finding]:
    """What a look at the classes of all splits together finds."""
    return [*_similar_names(raw.categories), *_shifted(raw)]


def _similar_names(categories: Categories) -> list[Finding]:
    """Names of one letter are left out: a reader of text tells `a` from `A`."""
    first: dict[str, tuple[int, str]] = {}
    findings = []
    for id, name in zip(categories.ids, categories.names):
        key = re.sub(r"[\s_-]+", "", name.casefold()) if name else ""
        if name is None or len(key) < 2:
            continue
        other, written = first.setdefault(key, (id, name))
        if written != name:
            detail = f"'{written}' is category {other} and '{name}' {id}"
            findings.append(Finding("similar_names", "", None, id, detail, "category"))
    return findings


def _shifted(raw: RawDataSet) -> list[Finding]:
    """Numbers from 0 in the objects and from 1 in the list of classes, or the other way round."""
    known = set(raw.categories.ids)
    used = {int(id) for split in raw.splits for id in set(split.objects.category.tolist())}
    if used <= known:
        return []
    for step, word in ((1, "larger"), (-1, "smaller")):
        if {id + step for id in used} <= known:
            detail = f"the objects have the numbers {_range(used)}, the classes {_range(known)}"
            return [Finding("shifted_categories", "", raw.splits[0].labels, None, f"{detail}: all may be one {word}")]
    return []


def _range(ids: set[int]) -> str:
    return f"{min(ids)} to {max(ids)}" if len(ids) > 1 else f"{min(ids)}"
