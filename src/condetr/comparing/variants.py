"""The models that can be compared, by name: recipes, and variants of a base recipe."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..config import Config, override
from ..config.errors import did_you_mean
from ..datasets.dataset import DataSet
from ..errors import ConfigError
from ..recipes import RECIPES, recipe
from .levers import LEVER_VARIANTS
from .paper import PAPER, Variant

SMALL_IMAGES = 160  # pixels: up to this median long side of the images `nano` is the base on any device

VARIANTS: dict[str, Variant] = {**PAPER, **LEVER_VARIANTS}

STUDIES: dict[str, tuple[str, ...]] = {
    "headline": ("detr", "conditional_detr"),
    "transforms": ("identity", "scalar", "block", "full", "diagonal"),
    "queries": ("content_only", "transform_only", "reference_only", "from_content", "diagonal"),
    "references": ("centre", "learned", "predicted"),
    "starts": ("conditional_detr", "local"),
    "ladder": ("detr", "detr_offset", "detr_focal", "detr_offset_focal", "conditional_detr"),
    "levers": tuple(LEVER_VARIANTS),
}


def study(name: str) -> tuple[str, ...]:
    """The models of a predefined study. Raises ConfigError naming the studies."""
    if name not in STUDIES:
        hint = did_you_mean(name, STUDIES) or f". There are {', '.join(STUDIES)}"
        raise ConfigError(f"`study={name!r}`: no such study{hint}")
    return STUDIES[name]


def configs(names: Sequence[str], base: str, settings: Mapping[str, Any]) -> dict[str, Config]:
    """The whole config of each model. `settings` go by `path` for all models, by `MODEL:path` for one.

    Raises ConfigError, in one line, for a model or a setting that does not exist.
    """
    for name in names:
        if name not in VARIANTS and name not in RECIPES:
            hint = did_you_mean(name, [*VARIANTS, *RECIPES]) or (
                f". There are the variants {', '.join(VARIANTS)}, and the recipes {', '.join(RECIPES)}"
            )
            raise ConfigError(f"`models={name!r}`: no such model{hint}")
        if list(names).count(name) > 1:
            raise ConfigError(f"`models={name!r}`: listed twice. Remove one")
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    common: dict[str, Any] = {}
    for key, value in settings.items():
        model, colon, path = key.rpartition(":")
        if colon and model not in own:
            raise ConfigError(
                f"`settings={ {key: value} }`: '{model}' is not among the models. There are {', '.join(names)}"
            )
        (own[model] if colon else common)[path] = value
    return {name: override(_model(name, base), {**common, **own[name]}) for name in names}


def _model(name: str, base: str) -> Config:
    if name in RECIPES:
        return recipe(name)
    return VARIANTS[name].of(recipe(base))


def default_base(dataset: DataSet, device: str) -> str:
    """The base recipe when none is given: one that can be trained on this data and device in a reasonable time."""
    sides = sorted(max(sample.truth.size) for sample in dataset.split("train"))
    return "nano" if device == "cpu" or sides[len(sides) // 2] <= SMALL_IMAGES else "small"


def differing_settings(models: Mapping[str, Config], ignore: Callable[[str], bool]) -> list[tuple[str, dict[str, Any]]]:
    """The settings in which the models differ, with the value in each model; None where a model does not have one."""
    settings = {name: dict(flatten(config.model_dump(mode="json"))) for name, config in models.items()}
    paths = dict.fromkeys(path for values in settings.values() for path in values if not ignore(path))
    rows = [(path, {name: values.get(path) for name, values in settings.items()}) for path in paths]
    return [(path, values) for path, values in rows if len({repr(value) for value in values.values()}) > 1]


def flatten(values: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Nested settings as (dotted path, value) pairs."""
    return [
        pair
        for key, value in values.items()
        for pair in (flatten(value, f"{above}{key}.") if isinstance(value, dict) else [(f"{above}{key}", value)])
    ]
