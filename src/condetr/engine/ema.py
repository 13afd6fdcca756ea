"""The exponential moving average of a model's weights: often better than the last weights, at the cost of one pass."""

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import nn

from ..cpu.foreach import interpolate_

Model = TypeVar("Model", bound=nn.Module)


class Average(Generic[Model]):
    """`model` holds the averaged weights. The decay grows with the steps, min(decay, (1 + n) / (10 + n)), so that the
    initial weights soon lose their influence."""

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self.model: Model = deepcopy(model)
        self.model.eval().requires_grad_(False)
        names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        self.averaged = [self.model.get_parameter(name).data for name in names]

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Update the average with the weights after step `step`, counted from 0."""
        current = [parameter.data for parameter in model.parameters() if parameter.requires_grad]
        decay = min(self.decay, (1 + step) / (10 + step))
        interpolate_(self.averaged, current, 1 - decay)
