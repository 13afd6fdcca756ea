"""All settings of a run, as frozen data: the one place where a default is written. Imports no torch."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .config_errors import invalid, unknown, variants


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


RESNETS = ("nano", "resnet18", "resnet34", "resnet50", "resnet101")


# --- the model ------------------------------------------------------------------------------------------------------


class Backbone(Strict):
    """A ResNet or a timm network. `last_stage` 4 with `stride` 16 is DC5: the last stage dilated instead of strided."""

    name: str = Field(
        "resnet50", description=f"{', '.join(RESNETS)}, or timm:NAME for a network of timm, such as timm:convnext_tiny"
    )
    last_stage: Literal[2, 3, 4] = 4
    stride: Literal[8, 16, 32] = 32
    norm: Literal["frozen_batch", "channel", "learned_batch"] = Field(
        "frozen_batch",
        description="frozen_batch: batch norm with pretrained statistics and affine map. channel (not timm): "
        "normalises the channels of each position, for training from scratch. learned_batch (timm only): pretrained "
        "statistics, trained affine map",
    )
    trains_from: Literal["stem", "layer1", "layer2", "layer3", "layer4", "nothing"] = Field(
        "layer2", description="the first part of the backbone that is trained; those before it are frozen"
    )
    padding: Literal["exact", "published"] = Field(
        "exact",
        description="exact: predictions for an image do not depend on the padding of its batch. published: as in the "
        "official code, where the padding of a batch affects its images",
    )

    @property
    def timm_name(self) -> str:
        """The name of the timm network; empty for our own ResNets."""
        return self.name.removeprefix("timm:") if self.name.startswith("timm:") else ""

    @property
    def dilated(self) -> bool:
        """DC5."""
        return self.last_stage == 4 and self.stride == 16

    @field_validator("name")
    @classmethod
    def _name_is_known(cls, name: str) -> str:
        if name in RESNETS or re.fullmatch(r"timm:[\w.-]+", name):
            return name
        close = get_close_matches(name, RESNETS, n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        raise ValueError(f"no such backbone. {meant}There are {', '.join(RESNETS)} and timm:NAME")

    @model_validator(mode="after")
    def _norm_fits(self) -> "Backbone":
        if self.norm == ("channel" if self.timm_name else "learned_batch"):
            fitting = "frozen_batch or learned_batch" if self.timm_name else "frozen_batch or channel"
            raise ValueError(f"norm={self.norm} does not fit name={self.name}: choose {fitting}")
        return self

    @model_validator(mode="after")
    def _stride_fits(self) -> "Backbone":
        fitting = {2: [8], 3: [16], 4: [32, 16]}[self.last_stage]
        if self.stride not in fitting:
            raise ValueError(f"last_stage={self.last_stage} needs stride={' or '.join(map(str, fitting))}")
        return self


class Softmax(Strict):
    kind: Literal["softmax"] = "softmax"
    background_weight: float = Field(0.1, gt=0)


class Focal(Strict):
    kind: Literal["focal"] = "focal"
    alpha: float = Field(0.25, ge=0, le=1)
    gamma: float = Field(2.0, ge=0)


class IouAware(Strict):
    """Align-DETR's loss: the score learns how well the box fits. Matched with focal scoring's cost."""

    kind: Literal["iou_aware"] = "iou_aware"
    ramp: float = Field(
        0.15, ge=0, le=1, description="share of the run's steps over which the target goes from 1 to the IoU-aware one"
    )
    class_weight: float = Field(
        1.0, ge=0, description="weight of the class loss; loss.classes then weighs only the matching cost"
    )


class Matchability(Strict):
    """DEIM's matchability-aware loss, another form of the IoU-aware one."""

    kind: Literal["mal"] = "mal"
    ramp: float = Field(
        0.15, ge=0, le=1, description="share of the run's steps over which the target goes from 1 to the IoU-aware one"
    )
    class_weight: float = Field(
        1.0, ge=0, description="weight of the class loss; loss.classes then weighs only the matching cost"
    )


Scoring = Softmax | Focal | IouAware | Matchability


class Detr(Strict):
    kind: Literal["detr"] = "detr"


SpatialQuery = Literal[
    "diagonal", "identity", "scalar", "block", "full", "reference_only", "transform_only", "content_only",
    "from_content",
]  # fmt: skip


class Conditional(Strict):
    kind: Literal["conditional"] = "conditional"
    spatial_query: SpatialQuery = "diagonal"
    start: Literal["published", "local"] = Field(
        "published",
        description="initial attention. published: uniform, as in the paper. local: around the reference point",
    )


class Refining(Strict):
    """Conditional DETR whose queries are boxes, which each layer refines. Needs model.reference=anchors."""

    kind: Literal["refining"] = "refining"
    spatial_query: SpatialQuery = "diagonal"
    start: Literal["published", "local"] = Field(
        "published",
        description="initial attention. published: uniform. local: around the box, also of the box bias",
    )
    box_bias: Literal["none", "linear", "log"] = Field(
        "none",
        description="a bias of the cross-attention around the box, learned from the distances of its sides in pixels "
        "or in their logarithms",
    )
    bias_hidden: int = Field(64, ge=1, le=4096, description="width of the bias's MLPs; 512 in Plain-DETR")
    size_modulation: bool = Field(False, description="divide the spatial query by the size of the box (DAB-DETR)")
    boxes: Literal["logit", "relative"] = Field(
        "logit", description="what is added to a box: logits, or shares of its size"
    )


class Model(Strict):
    backbone: Backbone = Backbone()
    scoring: Annotated[Scoring, Field(discriminator="kind")] = Focal()
    decoder: Annotated[Detr | Conditional | Refining, Field(discriminator="kind")] = Conditional()
    reference: Literal["centre", "learned", "predicted", "anchors"] = Field(
        "predicted", description="where a query starts: a point, or with anchors a box, which a refining decoder needs"
    )
    keys: Literal["encoder", "fused"] = Field(
        "encoder",
        description="what the decoder attends to. fused: the encoder's output at half its stride, fused with the "
        "features of the backbone's stage before the last",
    )
    dim: int = Field(256, ge=8, le=4096, multiple_of=4)
    heads: int = Field(8, ge=1, le=256)
    hidden: int = Field(2048, ge=1, le=65536)
    encoder_layers: int = Field(6, ge=0, le=64)
    decoder_layers: int = Field(6, ge=1, le=64)
    queries: int = Field(300, ge=1, le=10000)
    dropout: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_fit(self) -> "Model":
        if self.dim % self.heads:
            raise ValueError(f"dim={self.dim} is not a multiple of heads={self.heads}")
        return self

    @model_validator(mode="after")
    def _keys_fit(self) -> "Model":
        if self.keys == "fused" and self.backbone.dilated:
            raise ValueError("keys=fused does not fit a dilated last stage (DC5): set model.backbone.stride=32")
        if self.keys == "fused" and self.backbone.timm_name:
            raise ValueError(f"keys=fused needs a ResNet of condetr: set model.backbone.name={', '.join(RESNETS)}")
        return self

    @model_validator(mode="after")
    def _reference_fits(self) -> "Model":
        if (self.decoder.kind == "refining") != (self.reference == "anchors"):
            fitting = "reference=anchors" if self.decoder.kind == "refining" else "decoder.kind=refining"
            raise ValueError(
                f"decoder.kind={self.decoder.kind} does not fit reference={self.reference}: set model.{fitting}"
            )
        return self


# --- images -------------------------------------------------------------------------------------------------------


class Data(Strict):
    """How images are resized and augmented. `size` is the short side in pixels at test time; the sizes of the
    augmentation are multiples of it, so that one number rescales the whole recipe. At 800 they are the papers'."""

    size: int = Field(800, ge=32, le=4096)
    enlarge: float = Field(
        0.0,
        ge=0,
        le=16,
        description="enlarge images, at most twofold, until half of the objects measure this many strides of the "
        "model; 0: never",
    )
    longest: float = Field(1333 / 800, ge=1, le=64, description="limit of the long side, as a multiple of `size`")
    scales: tuple[float, ...] = Field(
        tuple(round(0.6 + 0.04 * i, 2) for i in range(11)), min_length=1, description="480 … 800 in steps of 32"
    )
    crop_chance: float = Field(0.5, ge=0, le=1)
    crop_scales: tuple[float, ...] = Field((0.5, 0.625, 0.75), min_length=1, description="400, 500, 600")
    crop_smallest: float = Field(0.48, gt=0, description="384")
    crop_largest: float = Field(0.75, gt=0, description="600")
    flip_chance: float = Field(0.5, ge=0, le=1)
    color: float = Field(
        0.0, ge=0, le=2, description="strength of random changes of brightness, contrast, saturation and hue; 0: none"
    )
    mosaic_chance: float = Field(0.0, ge=0, le=1, description="how often four images are shown at once, as a mosaic")
    mosaic_smallest: float = Field(
        0.5, gt=0, le=1, description="size of the smallest images of a mosaic, as a multiple of their usual size"
    )
    zoom_out_chance: float = Field(
        0.0, ge=0, le=1, description="how often an image is shown up to two times smaller, on a plain background"
    )
    close_at: float = Field(
        1.0, ge=0, le=1, description="the fraction of the epochs after which there is no mosaic and no zooming out"
    )
    cache: Literal["none", "memory"] = "memory"


# --- training -------------------------------------------------------------------------------------------------------


class Loss(Strict):
    """Weights of the loss terms, and of the same terms in the matching cost."""

    classes: float = Field(
        2.0, ge=0, description="with scoring iou_aware and mal, of the matching cost only: see their class_weight"
    )
    l1: float = Field(5.0, ge=0)
    giou: float = Field(2.0, ge=0)


class Train(Strict):
    epochs: int = Field(50, ge=1)
    schedule: Literal["step", "flat_cosine"] = Field(
        "step",
        description="step: the learning rate is divided by 10 once, as in the papers. flat_cosine: it stays for half "
        "of the run, then falls along a cosine to a twentieth",
    )
    drop_at: float = Field(
        0.8,
        gt=0,
        le=1,
        description="step: the fraction of the epochs after which the learning rate is divided by 10",
    )
    batch: int = Field(16, ge=1, description="images in one optimizer step, over all processes")
    lr: float = Field(1e-4, gt=0)
    backbone_lr: float = Field(0.1, ge=0, description="the backbone's learning rate, as a multiple of lr")
    weight_decay: float = Field(1e-4, ge=0)
    clip: float = Field(0.1, ge=0, description="maximum gradient norm; 0: no clipping")
    warmup: float = Field(
        0.0, ge=0, le=1, description="steps of the warm-up, as a share of the run's steps; at most 2000 steps"
    )
    warmup_steps: int = Field(0, ge=0, description="steps of the warm-up; instead of train.warmup")
    groups: int = Field(
        1, ge=1, le=64, description="groups of queries trained in parallel, of which the first is kept (Group DETR)"
    )
    denoising: int = Field(
        0,
        ge=0,
        le=10000,
        description="about how many denoising queries each image has in training, that start from boxes of objects "
        "with noise (DINO); 0: none. Needs model.decoder.kind=refining",
    )
    denoising_noise: Literal["contrastive", "positive"] = Field(
        "contrastive",
        description="contrastive: half of the denoising queries have more noise and learn to be background (DINO). "
        "positive: none, which suits objects that are close to one another (DN-DETR)",
    )
    supervision: Literal["one_to_one", "one_to_many"] = Field(
        "one_to_one",
        description="one_to_many: beside it, a second class head on the same queries learns each object with up to six "
        "queries, in training only (MS-DETR)",
    )
    ema: float = Field(0.0, ge=0, lt=1, description="decay of the exponential moving average of the weights; 0: none")
    ema_ramp: int = Field(
        0, ge=0, description="the decay grows as 1 − exp(−updates / ema_ramp); 0: as updates / (updates + 9)"
    )
    ema_window: float = Field(
        0.0,
        ge=0,
        le=1,
        description="limits the steps that are averaged, 1 / (1 − ema), to this share of the run; 0: no limit",
    )
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    patience: int = Field(0, ge=0, description="stop after this many epochs without a better AP; 0: never")
    evaluate_every: int = Field(1, ge=1)
    seed: int = Field(42, ge=0, lt=2**63)
    feature_epochs: float = Field(
        0.0,
        ge=0,
        le=1,
        description="the fraction of the epochs, the first ones, that train on features of the frozen backbone, which "
        "are computed once",
    )
    feature_variants: int = Field(
        8, ge=1, description="augmented variants of each image whose features are computed and used in turn"
    )
    init: str = Field(
        "imagenet",
        description="imagenet (the backbone), none, a backbone's file, or the folder or hub id of weights",
    )

    @model_validator(mode="after")
    def _one_warmup(self) -> "Train":
        if self.warmup and self.warmup_steps:
            raise ValueError("warmup and warmup_steps: set one of them to 0")
        return self


REPLACES = {"data.size": "data.enlarge", "train.warmup": "train.warmup_steps", "train.warmup_steps": "train.warmup"}


class Config(Strict):
    """All settings of one experiment. Saved with the weights as JSON."""

    recipe: str = "conditional_detr_r50"
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
        return Config.model_validate(values)
    except ValidationError as error:
        raise invalid(error, Config, values, source) from None


def override(config: Config, settings: Mapping[str, Any]) -> Config:
    """The config with some settings replaced, named by dotted path (`train.lr`), and validated again as a whole.

    Setting another `kind` keeps the settings that both variants have. A `data.size` among the settings is final: images
    are not enlarged beyond it, unless `data.enlarge` is set too. Of the two lengths of the warm-up, the one that is set
    replaces the other. A refining decoder gets anchors, and another one in its place predicted reference points, unless
    `model.reference` is set too. Raises ConfigError.
    """
    values = config.model_dump()
    for given, replaced in REPLACES.items():
        if given in settings:
            settings = {replaced: 0, **settings}
    if (kind := settings.get("model.decoder.kind")) and "refining" in (kind, config.model.decoder.kind):
        settings = {"model.reference": "anchors" if kind == "refining" else "predicted", **settings}
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
    return parse(values, None)
