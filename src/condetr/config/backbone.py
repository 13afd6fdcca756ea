"""Settings of the backbone."""

import re
from difflib import get_close_matches
from typing import Literal

from pydantic import Field, field_validator, model_validator

from .strict import Strict

RESNETS = ("nano", "resnet18", "resnet34", "resnet50", "resnet101")


class Backbone(Strict):
    """A ResNet or a timm network. `last_stage` 4 with `stride` 16 is DC5: the last stage dilated instead of strided."""

    name: str = Field(
        "resnet50", description=f"{', '.join(RESNETS)}, or timm:NAME for a network of timm, such as timm:convnext_tiny"
    )
    last_stage: Literal[2, 3, 4] = Field(4, description="the last stage of the backbone that the model has")
    stride: Literal[8, 16, 32] = Field(
        32,
        description="pixels from one cell of the features to the next: 8 with last_stage=2, 16 with 3, 32 with 4; 16 "
        "with 4 is DC5",
    )
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
