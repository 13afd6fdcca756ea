"""The config of a run: from a recipe, the weights it starts from, everyday arguments, and settings by dotted path."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checkpoint import load
from ..config import Config, override
from ..errors import ConfigError
from ..recipes import recipe as recipe_by_name
from ..recipes import with_published_drop
from .plan import counted

ARGUMENTS = {  # argument of `train` → the setting it stands for
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
    recipe: str | Config | None, arguments: Mapping[str, Any], settings: Mapping[str, Any], base: Config | None
) -> Config:
    """The config of a run. `arguments` are those of `ARGUMENTS`, None where not given.

    Without a recipe it starts from `base` (the config of a run that is resumed), else from the model of the weights
    that `init` names, else from the recipe of Conditional DETR with ResNet-50. Raises ConfigError for a setting that
    does not exist, has an invalid value, or is given twice.
    """
    given = {ARGUMENTS[name]: value for name, value in arguments.items() if value is not None}
    for name, path in ARGUMENTS.items():
        if path in given and path in settings:
            raise ConfigError(f"given twice, as `{name}` and among the settings. Give it once", setting=path)
    if isinstance(recipe, Config):
        config = recipe
    elif recipe is not None:
        config = recipe_by_name(recipe)
    else:
        init = given.get("train.init", settings.get("train.init"))
        config = base or _config_of_weights(init) or Config()
    resolved = override(config, {**given, **settings})
    return resolved if "train.drop_at" in settings else with_published_drop(resolved)


def settings_note(recipe: str | Config | None, config: Config, base: Config | None) -> tuple[str, ...]:
    """A line about which settings a new run has from the weights of a detector, and which it does not; else nothing."""
    if recipe is not None or base is not None or not _is_detector(config.train.init):
        return ()
    train = config.train
    return (
        "model and image settings are those of the weights; training settings not given are the defaults (now "
        f"{counted(train.epochs, 'epoch')}, batch {train.batch}, lr {train.lr:g}): choose others with --recipe, or "
        "with --epochs, --batch, --lr",
    )


def _is_detector(init: Any) -> bool:
    """Whether `train.init` names the weights of a detector: a folder or a hub id."""
    if not isinstance(init, str) or init in ("imagenet", "none") or init.startswith("imagenet@"):
        return False
    return not Path(init).is_file()


def _config_of_weights(init: Any) -> Config | None:
    """The config of a detector to start from, with the default training; None where `init` is no detector."""
    if not _is_detector(init):
        return None
    source = load(init).config
    return Config(recipe=source.recipe, model=source.model, data=source.data, loss=source.loss)
