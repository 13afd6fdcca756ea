"""All settings of one experiment, how they are read, and how single ones are replaced."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError, model_validator

from .backbone import Backbone
from .data import Data
from .errors import invalid, refuse_unmeant, unknown, variants
from .model import Model
from .strict import Strict
from .training import Loss, Train

REPLACES = {  # the first replaces the second
    "data.size": "data.enlarge",
    "train.epochs": "train.steps",
    "train.warmup": "train.warmup_steps",
    "train.warmup_steps": "train.warmup",
}
WITHOUT_ANCHORS = {"model.reference": "predicted", "train.denoising": 0}


class Config(Strict):
    """All settings of one experiment. Saved with the weights as JSON."""

    recipe: str = Field("conditional_detr_r50", description="the name of the recipe that these settings started from")
    model: Model = Model()
    data: Data = Data()
    loss: Loss = Loss()
    train: Train = Train()

    @model_validator(mode="after")
    def _training_fits_the_model(self) -> "Config":
        if self.train.denoising and self.model.decoder.kind != "refining":
            raise ValueError("train.denoising needs model.decoder.kind=refining")
        if self.train.denoising and self.model.scoring.kind == "softmax":
            raise ValueError("train.denoising needs model.scoring.kind=focal, iou_aware or mal")
        if self.train.supervision == "one_to_many" and self.model.scoring.kind == "softmax":
            raise ValueError("train.supervision=one_to_many needs model.scoring.kind=focal, iou_aware or mal")
        return self


def parse(values: dict[str, Any], source: str | None) -> Config:
    """Validate a nested dict. `source`, a file name, opens every error message. Raises ConfigError."""
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise invalid(error, Config, values, source) from None
    if isinstance(values, Mapping):
        refuse_unmeant(values, config, source)
    return config


def override(config: Config, settings: Mapping[str, Any]) -> Config:
    """The config with some settings replaced, named by dotted path (`train.lr`), and validated again as a whole.

    Setting another `kind` keeps the settings that both variants have. A `data.size` among the settings is final: images
    are not enlarged beyond it, unless `data.enlarge` is set too. `train.epochs` is final in the same way, unless
    `train.steps` is set too. Of the two lengths of the warm-up, the one that is set replaces the other. A refining
    decoder gets anchors, and another one in its place predicted reference points and no denoising, unless these are set
    too. With a backbone that has no finer features, `model.keys` becomes `encoder`, unless it is set too; with DETR's
    decoder, `multi_scale` becomes `fused`.

    Raises ConfigError for a path that does not exist, and for values that are invalid or do not fit one another.
    """
    values = config.model_dump()
    for given, replaced in REPLACES.items():
        if given in settings:
            settings = {replaced: 0, **settings}
    if (kind := settings.get("model.decoder.kind")) and "refining" in (kind, config.model.decoder.kind):
        own = {"model.reference": "anchors"} if kind == "refining" else WITHOUT_ANCHORS
        settings = {**own, **settings}
    for path, value in sorted(settings.items(), key=lambda item: not item[0].endswith(".kind")):  # variants first
        *parents, leaf = path.split(".")
        group: Any = values
        for parent in parents:
            group = group.get(parent) if isinstance(group, dict) else None
        if not isinstance(group, dict) or (leaf not in group and "kind" not in group):
            raise unknown(path, Config)
        if leaf == "kind" and isinstance(value, str) and value != group["kind"]:
            variant = variants(Config, parents).get(value)
            for name in set(group) - set(variant.model_fields if variant else ()):
                del group[name]
        group[leaf] = value
    if "model.keys" not in settings and _lacks_finer_features(values["model"]):
        values["model"]["keys"] = "encoder"
    if "model.keys" not in settings and settings.get("model.decoder.kind") == "detr":
        model = values["model"]
        model["keys"] = "fused" if model["keys"] == "multi_scale" else model["keys"]
    return parse(values, None)


def _lacks_finer_features(model: Any) -> bool:
    """Whether the backbone of these settings is valid, and cannot have finer keys."""
    try:
        backbone = Backbone.model_validate(model["backbone"])
    except (ValidationError, KeyError, TypeError):
        return False
    return backbone.dilated
