"""The reference of each query: a point or box, as logits, where decoding starts and from which boxes are offsets.

Conditional DETR, section 3.3; the three forms of the ablation in section 4.3: (0, 0), learned, predicted. And boxes,
the anchors of DAB-DETR (Liu et al. 2022).
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
        return self.point.expand(object_query.shape[0], -1, -1)


class Predicted(Reference):
    """s = FFN(o), where o is the object query: the published model."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.point = MLP(dim, dim, 2, layers=2)

    def forward(self, object_query: Float[Tensor, "B N D"]) -> Float[Tensor, "B N 2"]:
        return self.point(object_query)


class Anchors(Reference):
    """s is a learned box (cx, cy, w, h) of each query. Centres start on a jittered grid, sizes as squares of many sizes
    in any order: sides from `SMALLEST` to `LARGEST`, relative to the image, evenly on a logarithmic scale."""

    SMALLEST, LARGEST = 0.05, 0.6

    def __init__(self, queries: int) -> None:
        super().__init__()
        self.box = nn.Parameter(torch.zeros(queries, 4))
        sides = self.SMALLEST * (self.LARGEST / self.SMALLEST) ** ((torch.arange(queries) + 0.5) / queries)
        self.spread(sides[:, None].expand(-1, 2))

    def forward(self, object_query: Float[Tensor, "B N D"]) -> Float[Tensor, "B N 4"]:
        return self.box.expand(object_query.shape[0], -1, -1)

    @torch.no_grad()
    def spread(self, sizes: Float[Tensor, "M 2"]) -> None:
        """Draw the anchors anew, with sizes (w, h) at evenly spaced quantiles of those given, ordered by area."""
        queries = len(self.box)
        ordered = sizes[sizes.prod(-1).argsort()]
        chosen = ordered[((torch.arange(queries) + 0.5) / queries * len(sizes)).long()]
        self.box.copy_(self._logits(chosen))

    @torch.no_grad()
    def further(self, groups: int) -> Float[Tensor, "_N 4"]:
        """The anchors of further groups of queries: other centres, and these sizes in another order."""
        return torch.cat([self._logits(self.box[:, 2:].sigmoid()) for _ in range(groups)])

    def _logits(self, sizes: Float[Tensor, "N 2"]) -> Float[Tensor, "N 4"]:
        centres, order = jittered_grid(len(sizes)), torch.randperm(len(sizes))  # drawn on the CPU, on any device
        return torch.cat([centres.to(sizes.device), sizes[order.to(sizes.device)]], dim=-1).logit(eps=1e-3)


def jittered_grid(points: int) -> Float[Tensor, "N 2"]:
    """Random points (x, y), each in its own cell of a grid of about as many rows as columns."""
    rows = max(1, round(points**0.5))
    counts = [points * (row + 1) // rows - points * row // rows for row in range(rows)]
    x = torch.cat([(torch.arange(count) + torch.rand(count)) / count for count in counts])
    y = torch.cat([(row + torch.rand(count)) / rows for row, count in enumerate(counts)])
    return torch.stack([x, y], dim=-1)
