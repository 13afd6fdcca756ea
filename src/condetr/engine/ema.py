"""The exponential moving average of a model's weights: often better than the last weights, at the cost of one pass."""

from copy import deepcopy
from dataclasses import dataclass
from math import exp
from typing import Generic, TypeVar

import torch
from torch import nn

from ..cpu.foreach import interpolate_

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Decay:
    """The decay of the average at a step. It grows towards `limit`, so that the initial weights soon lose their
    influence: as limit · (1 − exp(−n / ramp)) in update n from 1, or with ramp 0 as min(limit, n / (n + 9))."""

    limit: float
    ramp: int

    def __call__(self, step: int) -> float:
        """The decay after step `step`, counted from 0."""
        if self.ramp:
            return self.limit * (1 - exp(-(step + 1) / self.ramp))
        return min(self.limit, (1 + step) / (10 + step))


def limited(limit: float, share: float, steps: int) -> float:
    """The limit of the decay for a run of `steps` steps: the window of the average, 1 / (1 − limit) steps, is at most
    this share of the run (0: any length)."""
    window = share * steps
    return min(limit, 1 - 1 / max(1.0, window)) if window else limit


class Average(Generic[Model]):
    """`model` holds the averaged weights."""

    def __init__(self, model: Model, decay: Decay) -> None:
        self.decay = decay
        self.model: Model = deepcopy(model)
        self.model.eval().requires_grad_(False)
        names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        self.averaged = [self.model.get_parameter(name).data for name in names]

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Update the average with the weights after step `step`, counted from 0."""
        current = [parameter.data for parameter in model.parameters() if parameter.requires_grad]
        interpolate_(self.averaged, current, 1 - self.decay(step))
