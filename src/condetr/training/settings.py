"""From a person's words to the config of a run: recipe, weights, everyday flags and `--set`, in that order."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checkpoint import load
from ..config import Config, override
from ..datasets.raw import folder_split
from ..engine.distributed import is_single
from ..errors import ConfigError
from ..recipes import recipe as by_name

EVERYDAY = {  # flag → the setting it stands for
    "init": "train.init",
    "epochs": "train.epochs",
    "batch": "train.batch",
    "lr": "train.lr",
    "size": "data.size",
    "seed": "train.seed",
    "precision": "train.precision",
    "queries": "model.queries",
}


def resolve(
    recipe: str | None, flags: Mapping[str, Any], assignments: Mapping[str, Any], base: Config | None
) -> Config:
    """The config that the words ask for. Flags that were not given are None.

    Without a recipe it starts from `base` (a run that is resumed), else from the model of the weights that `init`
    names, else from Conditional DETR's recipe.
    """
    given = {EVERYDAY[flag]: value for flag, value in flags.items() if value is not None}
    config = by_name(recipe) if recipe else base or _of_weights(given.get("train.init")) or Config()
    if twice := set(given) & set(assignments):
        raise ConfigError(f"--set {sorted(twice)[0]}: given by a flag too. Give it once")
    return override(config, {**given, **assignments})


def _of_weights(init: str | None) -> Config | None:
    """The recipe's training for the model that these weights are, if they are a whole detector's."""
    if init is None or init in ("imagenet", "none") or Path(init).is_file():
        return None
    source = load(init).config
    return Config(recipe=source.recipe, model=source.model, data=source.data, loss=source.loss)


def called(data: Path) -> str:
    """The name of the data set's folder, also where a file in it was given, as birds/train/_annotations.coco.json."""
    place = data.resolve()
    if place.is_file():
        place = place.parent
        while place.name == "annotations" or folder_split(place):
            place = place.parent
    return place.name


def free_folder(data: Path, runs: Path) -> Path:
    """A folder for a new run on this data: runs/NAME, else runs/NAME-2 and so on.

    Raises ConfigError where several processes train: each would find another one free.
    """
    if not is_single():
        raise ConfigError("--out: name the run's folder when several processes train together")
    name, number = called(data), 1
    while (folder := runs / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def latest_folder(data: Path, runs: Path) -> Path:
    """The newest run on this data. Raises ConfigError when there is none."""
    name = called(data)
    configs = [c for c in runs.glob(f"{name}*/config.json") if c.parent.name.removeprefix(name).lstrip("-").isdigit()
               or c.parent.name == name]  # fmt: skip
    if not configs:
        raise ConfigError(f"{runs}: no run on {name} to resume. Name its folder with --out")
    return max(configs, key=lambda config: config.stat().st_mtime).parent
