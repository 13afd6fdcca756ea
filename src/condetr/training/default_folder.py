"""The run's folder where none is named: a new one below `runs/`, or on resume a run there on the same data set."""

import json
import re
from pathlib import Path

from ..datasets.dataset import DataSet
from ..datasets.raw import folder_split
from ..engine.distributed import is_single
from ..errors import ConfigError

RUNS = Path("runs")
RECORD = "data.json"  # in a run's folder: the data set that it trains on


def default_folder(data: Path | str | DataSet, resume: bool, runs: Path = RUNS) -> Path:
    """A new folder `runs/NAME`, or with `resume` the run on this data set that `latest_folder` finds.

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


def folder_note(folder: Path, data: Path | str | DataSet, resume: bool) -> str:
    """A line about a folder that was chosen by `default_folder`; empty for a first run."""
    if resume:
        return f"resuming {folder}"
    first = folder.with_name(dataset_folder(data).name)
    if folder == first:
        return ""
    return f"{first} exists already, so this run is written to {folder}; `resume=True` continues the latest run instead"


def latest_folder(dataset: Path, runs: Path) -> Path:
    """The run to resume on the data set at `dataset`. Raises ConfigError where there is none.

    Runs in the default folders `NAME`, `NAME-2` and so on go before those in folders that were named with `out`, and
    then the run that began last before others. Runs on another data set are never chosen, whatever their names.
    """
    found = [record.parent for record in runs.glob(f"*/{RECORD}") if recorded(record)[0] == str(dataset)]
    found = [folder for folder in found if (folder / "config.json").exists()]
    if not found:
        raise ConfigError(f"{runs}: no run on the data set {dataset} to resume. Name the run's folder with `out`")
    default = re.compile(re.escape(dataset.name) + r"(-\d+)?")
    unnamed = [folder for folder in found if default.fullmatch(folder.name)]
    return max(unnamed or found, key=lambda folder: (folder / "config.json").stat().st_mtime)


def recorded(record: Path) -> tuple[str | None, str | None]:
    """The data set's folder and fingerprint in a run's `data.json`; (None, None) where that cannot be read."""
    try:
        values = json.loads(record.read_text(encoding="utf-8"))
        return values["folder"], values["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
