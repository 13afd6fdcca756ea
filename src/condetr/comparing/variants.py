"""Models to compare, by name: a recipe as it is, or a base recipe with nothing changed but what a claim is about."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config import Config, override
from ..datasets.dataset import DataSet
from ..errors import ConfigError
from ..recipes import RECIPES, recipe

SMALL_IMAGES = 160  # pixels of the middle image's long side, up to which `nano` is the base on any machine

_CONDITIONAL = {
    "model.decoder.kind": "conditional",
    "model.decoder.spatial_query": "diagonal",
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
    """Settings that make a base recipe this model, and in words what it is."""

    meaning: str
    settings: Mapping[str, Any]
    few_queries: bool = False  # the published 300 queries become DETR's 100; a recipe for small data keeps its number


def _form(name: str, meaning: str) -> Variant:
    return Variant(meaning, {**_CONDITIONAL, "model.decoder.spatial_query": name})


def _reference(name: str, meaning: str) -> Variant:
    return Variant(meaning, {**_CONDITIONAL, "model.reference": name})


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
        "DETR with both (Table 4, OR + FL)",
        {**_DETR, "model.scoring.kind": "focal", "loss.classes": 2.0, "model.reference": "predicted"},
    ),
    "conditional_detr": Variant("Conditional DETR: diagonal T, predicted reference", _CONDITIONAL),
    "identity": _form("identity", "T is the identity: p_q = p_s"),
    "scalar": _form("scalar", "T is one number: p_q = λ p_s"),
    "block": _form("block", "T has a block for each head"),
    "full": _form("full", "T is a full matrix"),
    "diagonal": _form("diagonal", "T is diagonal: conditional_detr itself"),
    "content_only": _form("content_only", "CSQ-C: p_q is the decoder embedding f alone"),
    "transform_only": _form("transform_only", "CSQ-T: p_q is λ alone"),
    "reference_only": _form("identity", "CSQ-P: p_q is p_s alone, which is what identity computes"),
    "from_content": _form("from_content", "CSQ-I: λ is predicted from the content query c_q"),
    "local": Variant(
        "attention starts at the reference point instead of everywhere (not in the paper)",
        {**_CONDITIONAL, "model.decoder.start": "local"},
    ),
    "centre": _reference("centre", "reference points at the middle of the image"),
    "learned": _reference("learned", "a learned reference point for each query"),
    "predicted": _reference("predicted", "reference points predicted from the object queries: conditional_detr"),
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
    """The models of a ready-made study. Raises ConfigError naming the studies there are."""
    if name not in STUDIES:
        raise ConfigError(f"--study {name}: no such study. There are {', '.join(STUDIES)}")
    return STUDIES[name]


def configs(names: Sequence[str], base: str, settings: Mapping[str, Any]) -> dict[str, Config]:
    """The whole config of each model. `settings` go by `path` for all models, by `MODEL:path` for one.

    Raises ConfigError, in one line, for a model or a setting that does not exist.
    """
    for name in names:
        if name not in VARIANTS and name not in RECIPES:
            raise ConfigError(
                f"--models {name}: no such model. There are the variants {', '.join(VARIANTS)}, "
                f"and the recipes {', '.join(RECIPES)}"
            )
        if list(names).count(name) > 1:
            raise ConfigError(f"--models {name}: named twice")
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    common: dict[str, Any] = {}
    for key, value in settings.items():
        model, colon, path = key.rpartition(":")
        if colon and model not in own:
            raise ConfigError(f"--set {key}: '{model}' is not compared. There are {', '.join(names)}")
        (own[model] if colon else common)[path] = value
    return {name: override(_model(name, base), {**common, **own[name]}) for name in names}


def _model(name: str, base: str) -> Config:
    if name in RECIPES:
        return recipe(name)
    variant, start = VARIANTS[name], recipe(base)
    queries = 100 if variant.few_queries and start.model.queries == 300 else start.model.queries
    return override(start, {**variant.settings, "model.queries": queries})


def default_base(dataset: DataSet, device: str) -> str:
    """The recipe that variants start from when none is named: one that this data and machine can train in time."""
    sides = sorted(max(sample.truth.size) for sample in dataset.split("train"))
    return "nano" if device == "cpu" or sides[len(sides) // 2] <= SMALL_IMAGES else "small"


def setting_table(models: Mapping[str, Config], ignore: Callable[[str], bool]) -> list[tuple[str, dict[str, Any]]]:
    """The settings in which the models differ, each with every model's value; None where a model has no such."""
    settings = {name: dict(flat(config.model_dump(mode="json"))) for name, config in models.items()}
    paths = dict.fromkeys(path for values in settings.values() for path in values if not ignore(path))
    rows = [(path, {name: values.get(path) for name, values in settings.items()}) for path in paths]
    return [(path, values) for path, values in rows if len({repr(value) for value in values.values()}) > 1]


def flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Nested settings as (dotted path, value) pairs."""
    return [
        pair
        for key, value in values.items()
        for pair in (flat(value, f"{above}{key}.") if isinstance(value, dict) else [(f"{above}{key}", value)])
    ]
