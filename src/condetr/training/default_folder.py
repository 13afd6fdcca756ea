"""The run's folder where none is named: a new one below `runs/`, or on resume the latest run on the same data set."""

import json
from pathlib import Path

from ..datasets.dataset import DataSet
from ..datasets.raw import folder_split
from ..engine.distributed import is_single
from ..errors import ConfigError

RUNS = Path("runs")
RECORD = "data.json"  # in a run's folder: the data set that it trains on


def default_folder(data: Path | str | DataSet, resume: bool, runs: Path = RUNS) -> Path:
    """A new folder `runs/NAME`, or with `resume` the latest run on this data set.

    Raises ConfigError where there is no such run, and where several processes train: each would find another folder.
    """
    if not is_single():
        raise ConfigError("`out`: name the run's folder when several processes train together")
    folder = dataset_folder(data)
    return latest_folder(folder, runs) if resume else new_folder(folder.name, runs)


def dataset_folder(data: Path | str | DataSet) -> Path:
    """The data set's absolute folder, also where a file in it is given, as birds/train/_annotations.coco.json."""
    folder = (data.root if isinstance(data, DataSet) else Path(data)).resolve()
    if folder.is_file():
        folder = folder.parent
        while folder.name == "annotations" or folder_split(folder):
            folder = folder.parent
    return folder


def new_folder(name: str, runs: Path) -> Path:
    """`runs/NAME`, or where that exists `runs/NAME-2` and so on."""
    folder, number = runs / name, 1
    while folder.exists():
        number += 1
        folder = runs / f"{name}-{number}"
    return folder


def latest_folder(dataset: Path, runs: Path) -> Path:
    """The run on the data set at `dataset` that began last. Raises ConfigError where there is none.

    Runs on another data set are never chosen, whatever the names of their folders.
    """
    found = [record.parent for record in runs.glob(f"*/{RECORD}") if _recorded(record) == str(dataset)]
    found = [folder for folder in found if (folder / "config.json").exists()]
    if not found:
        raise ConfigError(f"{runs}: no run on the data set {dataset} to resume. Name the run's folder with `out`")
    return max(found, key=lambda folder: (folder / "config.json").stat().st_mtime)


def _recorded(record: Path) -> str | None:
    try:
        return json.loads(record.read_text(encoding="utf-8"))["folder"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
