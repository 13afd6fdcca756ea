"""Settings of the training: the weights of the loss, the optimizer, its schedule, and what only training adds."""

from typing import Literal

from pydantic import Field, model_validator

from .strict import Strict


class Loss(Strict):
    """Weights of the loss terms, and of the same terms in the matching cost."""

    classes: float = Field(
        2.0,
        ge=0,
        description="weight of the classification; with scoring iou_aware and mal, of the matching cost only: see "
        "their class_weight",
    )
    l1: float = Field(5.0, ge=0, description="weight of the L1 distance of the boxes")
    giou: float = Field(2.0, ge=0, description="weight of the generalised IoU of the boxes")


class Train(Strict):
    """How long, in which steps and from which weights a detector is trained."""

    epochs: int = Field(50, ge=1, description="passes over the training images")
    steps: int = Field(
        0,
        ge=0,
        description="choose train.epochs, from 10 to 50, so that the run has about this many steps; 0: train.epochs is "
        "used as it is",
    )
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
    lr: float = Field(1e-4, gt=0, description="learning rate")
    backbone_lr: float = Field(0.1, ge=0, description="the backbone's learning rate, as a multiple of lr")
    weight_decay: float = Field(1e-4, ge=0, description="of AdamW")
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
        description="number of denoising queries of each image in training, approximately; they start from boxes of "
        "objects with noise (DINO); 0: none. Needs model.decoder.kind=refining",
    )
    denoising_noise: Literal["contrastive", "positive"] = Field(
        "contrastive",
        description="contrastive: half of the denoising queries have more noise and learn to be background (DINO). "
        "positive: none has more noise, which suits objects that are close to one another (DN-DETR)",
    )
    supervision: Literal["one_to_one", "one_to_many"] = Field(
        "one_to_one",
        description="one_to_many: in addition, a second class head on the same queries learns each object with up to "
        "six queries, in training only (MS-DETR)",
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
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="precision of the forward pass; weights, losses and optimizer steps are always in fp32"
    )
    patience: int = Field(0, ge=0, description="stop after this many epochs without a better AP; 0: never")
    evaluate_every: int = Field(
        1, ge=1, description="epochs from one evaluation on `valid` to the next; the last epoch is always evaluated"
    )
    seed: int = Field(42, ge=0, lt=2**63, description="of all random numbers")
    feature_epochs: float = Field(
        0.0,
        ge=0,
        le=1,
        description="the fraction of the epochs, from the first one on, that train on features of the frozen backbone, "
        "which are computed once",
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
