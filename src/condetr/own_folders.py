"""Which folders hold a run or weights, recognised by the names of their files."""

from pathlib import Path


def is_run(folder: Path) -> bool:
    """Whether a training run wrote this folder."""
    return _has(folder, "config.json") and _has(folder, "journal.jsonl")


def holds_weights(folder: Path) -> bool:
    """Whether this is a run's folder or one of weights, of condetr or transformers."""
    return is_run(folder) or (_has(folder, "config.json") and any(folder.glob("*.safetensors")))


def _has(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_file()
    except (OSError, ValueError):  # it may not be entered, or no folder can have this name
        return False


def runs_inside(folder: Path) -> list[Path]:
    """The folders of runs, and of weights, that a folder holds itself."""
    try:
        return sorted(inside for inside in folder.iterdir() if inside.is_dir() and holds_weights(inside))
    except OSError:  # it may not be listed
        return []
