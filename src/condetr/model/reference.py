"""The reference of each query: a place, as logits, from which decoding starts and boxes are predicted as offsets.

Conditional DETR, section 3.3; the three forms of the ablation in section 4.3: (0, 0), learned, predicted.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ..shapes import Float
from .layers import MLP


class Reference(nn.Module, ABC):
    @abstractmethod
    def forward(self, object_query: Float[Tensor, "B N D"]) -> Float[Tensor, "B N R"]:
        """Logits s of a point (x, y), R = 2, or of a box (cx, cy, w, h), R = 4, for each object query."""


class Centre(Reference):
    """s = (0, 0), the image centre: the model then predicts a box without a reference, as DETR does."""

    def forward(self, object_query: Float[Tensor, "B N D"]) -> Float[Tensor, "B N 2"]:
        return object_query.new_zeros(*object_query.shape[:2], 2)


class Learned(Reference):
    """s is a parameter of each query, initialised uniformly over the image."""

    def __init__(self, queries: int) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.rand(queries, 2).logit(eps=1e-3))

    def forward(self, object_query: Float[Tensor, "B N D"]) -> Float[Tensor, "B N 2"]:
        return self.point.expand(len(object_query), -1, -1)


class Predicted(Reference):
    """s = FFN(o), where o is the object query: the published model."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.point = MLP(dim, dim, 2, layers=2)

    def forward(self, object_query: Float[Tensor, "B N D"]) -> Float[Tensor, "B N 2"]:
        return self.point(object_query)
