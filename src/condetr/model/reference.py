"""Where each query starts looking, as logits s: boxes are predicted as offsets from here.

Conditional DETR, section 3.3; the three forms of the ablation in section 4.3: (0, 0), learned, predicted.
"""

import torch
from torch import Tensor, nn

from ..shapes import Float
from .layers import MLP


class Centre(nn.Module):
    """s = (0, 0), the image centre: DETR's boxes, where an offset is the whole answer."""

    def forward(self, object_query: Float[Tensor, "B N D"]) -> Float[Tensor, "B N 2"]:
        return object_query.new_zeros(*object_query.shape[:2], 2)


class Learned(nn.Module):
    """s is a parameter of each query, starting anywhere in the image with the same chance."""

    def __init__(self, queries: int) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.rand(queries, 2).logit(eps=1e-3))

    def forward(self, object_query: Float[Tensor, "B N D"]) -> Float[Tensor, "B N 2"]:
        return self.point.expand(len(object_query), -1, -1)


class Predicted(nn.Module):
    """s = FFN(o), of the object query: the published model."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.point = MLP(dim, dim, 2, layers=2)

    def forward(self, object_query: Float[Tensor, "B N D"]) -> Float[Tensor, "B N 2"]:
        return self.point(object_query)
