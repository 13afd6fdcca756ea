""" "Did you mean": the nearest name to one that does not exist."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

CLOSE = 0.7


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The most similar of the names, where one is similar enough to be what was meant."""
    by_lower = {name.lower(): name for name in names}
    found = get_close_matches(word.lower(), by_lower, 1, CLOSE)
    return by_lower[found[0]] if found else None


def nearest_path(path: Path) -> Path | None:
    """An existing path that differs from `path`, which does not exist, in one misspelt component."""
    try:
        if not path.parts or path.exists():
            return None
        parts = path.parts
        depth = next(i for i in range(len(parts)) if not Path(*parts[: i + 1]).exists())
        parent = Path(*parts[:depth])
        near = nearest(parts[depth], (one.name for one in parent.iterdir() if not one.name.startswith(".")))
        if near is None:
            return None
        found = Path(*parts[:depth], near, *parts[depth + 1 :])
        return found if found.exists() else None
    except (OSError, ValueError):  # a name that no file can have, a folder that may not be listed
        return None


def did_you_mean(name: object | None) -> str:
    """The end of a message, empty without a suggestion."""
    return f". Did you mean {name}?" if name is not None else ""
