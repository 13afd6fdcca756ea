"""The config of a run: from a recipe, the weights it starts from, everyday arguments, and settings by dotted path."""

from collections.abc import Mapping
from typing import Any

from ..config import Config, override
from ..errors import ConfigError
from ..recipes import recipe as recipe_by_name
from ..recipes import with_published_drop

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

    Without a recipe it starts from `base`: the config of a run that is resumed, or the default for this machine. Raises
    ConfigError for a setting that does not exist, has an invalid value, or is given twice.
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
        config = base or Config()
    resolved = override(config, {**given, **settings})
    return resolved if "train.drop_at" in settings else with_published_drop(resolved)
