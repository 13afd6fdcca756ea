"""The average of a model's recent weights: often better than the last ones, and it costs one pass over them."""

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import nn

from ..cpu.foreach import interpolate_

Model = TypeVar("Model", bound=nn.Module)


class Average(Generic[Model]):
    """`model` has exponentially averaged weights. The average is short while it is young: after n steps the weights of
    the start count for no more than they would in a plain mean (decay (1 + n) / (10 + n), then `decay`)."""

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self.model: Model = deepcopy(model)
        self.model.eval().requires_grad_(False)
        names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        self.averaged = [self.model.get_parameter(name).data for name in names]

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after step `step`, counted from 0."""
        current = [parameter.data for parameter in model.parameters() if parameter.requires_grad]
        decay = min(self.decay, (1 + step) / (10 + step))
        interpolate_(self.averaged, current, 1 - decay)
