""" "Did you mean": the nearest name to one that does not exist."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from .files import quoted

CLOSE = 0.7
WEIGHT_FILES = frozenset({".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".onnx", ".xml"})
PUBLISHED = re.compile(r"(?:microsoft/conditional-detr|facebook/detr)-resnet-\w+(?:-dc5)?")  # on the hub


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


def missing_folder(source: str) -> str | None:
    """What is wrong with weights that are named by a local path, which does not exist; None for any other name.

    Of the form `owner/name`, which may be a hub repository, a local path is what is similar to an existing one, has the
    suffix of a file of weights, or lies in an existing folder or in `runs/`, where trainings are written; published
    weights and names with `@revision` are always repositories.
    """
    path = Path(source)
    try:
        if not source or source.startswith("~") or path.exists() or PUBLISHED.fullmatch(source):
            return None
        near = None if path.is_absolute() else nearest_path(path)
        if near is not None:
            return f"no such {'file' if near.is_file() else 'folder'}{did_you_mean(near)}"
        if path.suffix.lower() in WEIGHT_FILES:
            return "no such file"
        if path.is_absolute():
            return None
        if len(path.parts) < 2 or "@" in source:
            return None
        if path.parts[0] == "runs":
            train = f"`condetr train DATA --out {quoted(Path(*path.parts[:2]))}`"
            return f"no such file or folder. Train it first: {train}"
        if not Path(path.parts[0]).is_dir():
            return None
        hub = f". If the repository on the hub is meant, write {source}@main" if len(path.parts) == 2 else ""
        return f"no such file or folder{hub}"
    except (OSError, ValueError):  # a name that no file can have
        return None


def did_you_mean(name: object | None) -> str:
    """The end of a message, empty without a suggestion."""
    return f". Did you mean {name}?" if name is not None else ""
