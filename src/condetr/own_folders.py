"""Which folders hold a run or weights, recognised by the names of their files; and where caches are."""

import os
from pathlib import Path


def is_run(folder: Path) -> bool:
    """Whether a training run wrote this folder."""
    return (folder / "config.json").is_file() and (folder / "journal.jsonl").is_file()


def holds_weights(folder: Path) -> bool:
    """Whether this is a run's folder or one of weights, of condetr or transformers."""
    return is_run(folder) or ((folder / "config.json").is_file() and any(folder.glob("*.safetensors")))


def runs_inside(folder: Path) -> list[Path]:
    """The folders of runs, and of weights, that a folder holds itself."""
    try:
        return sorted(inside for inside in folder.iterdir() if inside.is_dir() and holds_weights(inside))
    except OSError:  # it may not be listed
        return []


def cache_folder(name: str) -> Path | None:
    """The user's folder for a cache of this name; None where there is no home folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "condetr" / name
    except RuntimeError:  # HOME is not set and the user has no entry in the password database
        return None
