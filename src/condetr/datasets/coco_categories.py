"""The classes of COCO files: one list over all splits, in the order of the ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..types import Categories
from .coco_json import NotCocoError, whole_number
from .defects import Finding


@dataclass(frozen=True, slots=True)
class Category:
    """A class of a file."""

    id: int
    name: str
    parent: str  # the supercategory


def categories_of(entries: Any, file: Path) -> list[Category]:
    """The classes of a file. Raises DataError where the list or an entry is not valid."""
    if not isinstance(entries, list) or not entries:
        raise NotCocoError(
            f"{file}: not a COCO file: it has no list 'categories'. Add one with the number and name of each class: "
            '"categories": [{"id": 1, "name": "cat"}, …]'
        )
    found = []
    for i, entry in enumerate(entries):
        id = whole_number(entry.get("id")) if isinstance(entry, dict) else None
        name = entry.get("name") or entry.get("supercategory") if isinstance(entry, dict) else None
        if id is None or not isinstance(name, str | int | float) or not str(name).strip():
            raise DataError(
                f"{file}: categories[{i}] needs an integer id, which objects have as category_id, and a name: "
                '{"id": 1, "name": "cat"}'
            )
        parent = entry.get("supercategory")
        found.append(Category(id, str(name).strip(), str(parent).strip() if parent is not None else ""))
    return found


def merged(lists: dict[str, list[Category]], used: set[int], root: Path) -> tuple[Categories, list[Finding]]:
    """One list over the lists of all files, in the order of the ids; `used` are the ids that objects have.

    Raises DataError where files contradict one another.
    """
    names: dict[int, str] = {}
    where: dict[int, str] = {}
    for file, categories in lists.items():
        for category in categories:
            if names.setdefault(category.id, category.name) != category.name:
                if where[category.id] == file:
                    raise DataError(
                        f"{root / file}: category {category.id} is '{names[category.id]}' and '{category.name}'. "
                        "Give every class its own id"
                    )
                raise DataError(
                    f"{root}: category {category.id} is '{names[category.id]}' in {where[category.id]} "
                    f"and '{category.name}' in {file}. Use the same ids in every split"
                )
            where.setdefault(category.id, file)
    every = [category for categories in lists.values() for category in categories]
    # Roboflow's exports start with a root category that groups the others and labels nothing: it is not a class
    if (
        0 not in used
        and 0 in names
        and any(category.parent == names[0] and category.id != 0 for category in every)
        and all(category.parent != names[0] for category in every if category.id == 0)
    ):
        del names[0]
    by_name: dict[str, int] = {}
    findings = []
    for id in sorted(names):
        first = by_name.setdefault(names[id], id)
        if first != id and where[first] != where[id]:
            raise DataError(
                f"{root}: '{names[id]}' is category {first} in {where[first]} and {id} in {where[id]}. "
                "Use the same ids in every split"
            )
        if first != id:
            findings.append(
                Finding(
                    "same_name", "", root / where[id], id, f"'{names[id]}' is category {first} and {id}", "category"
                )
            )
    ids = tuple(sorted(names))
    return Categories(ids, tuple(names[id] for id in ids)), findings
