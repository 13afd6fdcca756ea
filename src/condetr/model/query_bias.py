"""A bias of each query's class logits: queries that are added to trained weights start silent."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..shapes import Float

SCALE = 20.0  # logits for a value of 1: AdamW moves a value by about the learning rate, and a bias must move by several
SILENT = -10.0  # logits: of a score of 0.9 this leaves 0.0004


class QueryBias(nn.Module, ABC):
    @abstractmethod
    def forward(self, logits: Float[Tensor, "S B N C"]) -> Float[Tensor, "S B N C"]:
        """The logits of the detector's own N queries, with a bias for each."""


class NoQueryBias(QueryBias):
    """All queries share the bias of the class head, as in the published models."""

    def forward(self, logits: Float[Tensor, "S B N C"]) -> Float[Tensor, "S B N C"]:
        return logits


class LearnedQueryBias(QueryBias):
    """A number for each query, added to its logits of the K `classes`; not to that of softmax's 'no object'."""

    def __init__(self, queries: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.value = nn.Parameter(torch.zeros(queries))

    def forward(self, logits: Float[Tensor, "S B N C"]) -> Float[Tensor, "S B N C"]:
        bias = (SCALE * self.value)[:, None].expand(-1, self.classes)
        return logits + F.pad(bias, (0, logits.shape[-1] - self.classes))
