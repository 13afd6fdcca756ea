"""The classes that a user names, as labels."""

from collections.abc import Iterable
from difflib import get_close_matches

from .arguments import names_of
from .errors import CondetrError
from .types import Categories


def labels_of_names(classes: str | Iterable[str], categories: Categories) -> list[int]:
    """The labels of classes given by name. Raises CondetrError for a name that is no class, with the nearest one."""
    names = [categories.name(label) for label in categories.real]
    labels: list[int] = []
    for name in names_of(classes, "classes"):
        found = [label for label in categories.real if categories.name(label) == name]
        if not found:
            near = get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the classes are {', '.join(names[:10])}"
            raise CondetrError(
                f"class {name!r}: the weights have no such class; {hint}{' …' * (len(names) > 10 and not near)}"
            )
        labels += found
    return labels
