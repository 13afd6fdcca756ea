"""The models that can be compared, by name: recipes, and variants of a base recipe that change one thing each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config import Config, override
from ..config.errors import did_you_mean
from ..datasets.dataset import DataSet
from ..errors import ConfigError
from ..recipes import RECIPES, recipe

SMALL_IMAGES = 160  # pixels: up to this median long side of the images `nano` is the base on any device

_CONDITIONAL = {
    "model.decoder.kind": "conditional",
    "model.decoder.spatial_query": "diagonal",
    "model.decoder.start": "published",
    "model.scoring.kind": "focal",
    "model.reference": "predicted",
    "loss.classes": 2.0,
}
_DETR = {
    "model.decoder.kind": "detr",
    "model.scoring.kind": "softmax",
    "model.reference": "centre",
    "loss.classes": 1.0,
}


@dataclass(frozen=True, slots=True)
class Variant:
    """The settings that turn a base recipe into this model, and its description."""

    description: str
    settings: Mapping[str, Any]
    few_queries: bool = False  # 300 queries, the published number, become DETR's 100; other numbers stay


def _form(name: str, description: str) -> Variant:
    return Variant(description, {**_CONDITIONAL, "model.decoder.spatial_query": name})


def _reference(name: str, description: str) -> Variant:
    return Variant(description, {**_CONDITIONAL, "model.reference": name})


VARIANTS: dict[str, Variant] = {
    "detr": Variant("DETR: whole-box regression, softmax with 'no object'", _DETR, few_queries=True),
    "detr_offset": Variant(
        "DETR with boxes as offsets from a predicted reference (Table 4, OR)",
        {**_DETR, "model.reference": "predicted"},
        few_queries=True,
    ),
    "detr_focal": Variant(
        "DETR with focal loss (Table 4, FL)", {**_DETR, "model.scoring.kind": "focal", "loss.classes": 2.0}
    ),
    "detr_offset_focal": Variant(
        "DETR with offsets and focal loss (Table 4, OR + FL)",
        {**_DETR, "model.scoring.kind": "focal", "loss.classes": 2.0, "model.reference": "predicted"},
    ),
    "conditional_detr": Variant("Conditional DETR: diagonal T, predicted reference", _CONDITIONAL),
    "identity": _form("identity", "T is the identity: p_q = p_s"),
    "scalar": _form("scalar", "T is one number: p_q = λ p_s"),
    "block": _form("block", "T has a block for each head"),
    "full": _form("full", "T is a full matrix"),
    "diagonal": _form("diagonal", "T is diagonal: the same as conditional_detr"),
    "content_only": _form("content_only", "CSQ-C: p_q is the decoder embedding f alone"),
    "transform_only": _form("transform_only", "CSQ-T: p_q is λ alone"),
    "reference_only": _form("identity", "CSQ-P: p_q is p_s alone: the same as identity"),
    "from_content": _form("from_content", "CSQ-I: λ is predicted from the content query c_q"),
    "local": Variant(
        "attention starts at the reference point instead of everywhere (not in the paper)",
        {**_CONDITIONAL, "model.decoder.start": "local"},
    ),
    "centre": _reference("centre", "reference points at the centre of the image"),
    "learned": _reference("learned", "a learned reference point for each query"),
    "predicted": _reference(
        "predicted", "reference points predicted from the object queries: the same as conditional_detr"
    ),
}

STUDIES: dict[str, tuple[str, ...]] = {
    "headline": ("detr", "conditional_detr"),
    "transforms": ("identity", "scalar", "block", "full", "diagonal"),
    "queries": ("content_only", "transform_only", "reference_only", "from_content", "diagonal"),
    "references": ("centre", "learned", "predicted"),
    "starts": ("conditional_detr", "local"),
    "ladder": ("detr", "detr_offset", "detr_focal", "detr_offset_focal", "conditional_detr"),
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
    variant, start = VARIANTS[name], recipe(base)
    queries = 100 if variant.few_queries and start.model.queries == 300 else start.model.queries
    return override(start, {**variant.settings, "model.queries": queries})


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
