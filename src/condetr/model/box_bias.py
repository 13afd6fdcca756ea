"""Attention scores that are sums of one number per row and one per column, and a bias of this form around a box.

The spatial score p_q.p_k of Conditional DETR has this form, because a position embedding is [y; x]. So has the box
relative position bias of Plain-DETR (Lin et al., "DETR Does Not Need Multi-Scale or Locality Design", ICCV 2023,
section 4.1), where each axis has a small MLP. The two are added before the softmax as one table.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..cpu.linear import Linear
from ..shapes import Float
from .tokens import Tokens


@dataclass(frozen=True, slots=True)
class AxialScores:
    """The score of a cell is that of its row plus that of its column."""

    rows: Float[Tensor, "B H N h"]
    columns: Float[Tensor, "B H N w"]

    def __add__(self, other: "AxialScores") -> "AxialScores":
        return AxialScores(self.rows + other.rows, self.columns + other.columns)

    def __mul__(self, factor: float) -> "AxialScores":
        return AxialScores(self.rows * factor, self.columns * factor)

    def of_cells(self) -> Float[Tensor, "B H N L"]:
        """The scores of all cells, row by row."""
        return (self.rows[..., :, None] + self.columns[..., None, :]).flatten(-2)


@dataclass(frozen=True, slots=True)
class MultiScaleScores:
    """Those of the heads that attend to tokens, and of the heads that attend to their finer tokens."""

    coarse: AxialScores | None
    fine: AxialScores | None


class BoxBias(nn.Module, ABC):
    @abstractmethod
    def forward(self, boxes: Float[Tensor, "B N 4"], memory: Tokens) -> AxialScores | MultiScaleScores | None:
        """What is added to the scores of the queries with these boxes (cxcywh, relative) for the tokens of their image;
        None: nothing."""


class NoBoxBias(BoxBias):
    """Cross-attention without a box bias, as in the published models."""

    def forward(self, boxes: Float[Tensor, "B N 4"], memory: Tokens) -> None:
        return None


class MultiScaleBoxBias(BoxBias):
    """A bias of its own for the heads of each scale."""

    def __init__(self, coarse: BoxBias, fine: BoxBias) -> None:
        super().__init__()
        self.coarse, self.fine = coarse, fine

    def forward(self, boxes: Float[Tensor, "B N 4"], memory: Tokens) -> MultiScaleScores:
        return MultiScaleScores(self.coarse(boxes, memory), self.fine(boxes, memory.finer))


class Distance(ABC):
    """The input of an MLP, computed from a distance in pixels, and the standard deviation of its first weights."""

    std: float

    @abstractmethod
    def __call__(self, pixels: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]: ...


class LinearDistance(Distance):
    """d, in pixels"""

    std = 0.02

    def __call__(self, pixels: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        return pixels


class LogDistance(Distance):
    """sign(d) log2(|d| + 1) / 3"""

    std = 0.5

    def __call__(self, pixels: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        return pixels.sign() * (pixels.abs() + 1).log2() / 3


class AxisMLP(nn.Sequential):
    """From the distances of the two sides of a box to one number per head."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__(Linear(2, hidden), nn.ReLU(), Linear(hidden, heads, bias=False))


class AxialBoxBias(BoxBias):
    """bias = MLP_x(x1 - p_x, x2 - p_x) + MLP_y(y1 - p_y, y2 - p_y) - decay · (outside_x + outside_y), for each head.

    (p_x, p_y) is the centre of a cell, the differences are in pixels. `outside` is how far the cell's centre is from
    the box along an axis, in sides of the box: max(0, |p - c| / side - 1/2). A side counts as one cell at least. This
    last term is our own: unlike an MLP, it depends on the box before any training. Boxes get no gradient from the
    bias.
    """

    def __init__(self, heads: int, hidden: int, distance: Distance) -> None:
        super().__init__()
        self.distance = distance
        self.x, self.y = AxisMLP(hidden, heads), AxisMLP(hidden, heads)
        self.decay = nn.Parameter(torch.zeros(heads))

    def forward(self, boxes: Float[Tensor, "B N 4"], memory: Tokens) -> AxialScores:
        assert memory.cells is not None
        stride, (rows, columns) = memory.cells.stride, memory.grid
        boxes = boxes.detach() * memory.cells.size.repeat(1, 2)[:, None].to(boxes.dtype)
        # all columns, then all rows: the centre of each, and the box's centre and side along its axis
        p = (torch.cat([torch.arange(n, device=boxes.device) for n in (columns, rows)]).float() + 0.5) * stride
        centre, side = (
            torch.cat([pair[..., :1].expand(-1, -1, columns), pair[..., 1:].expand(-1, -1, rows)], dim=2)
            for pair in boxes.split(2, dim=-1)
        )
        offset, half = centre - p, side / 2
        ends = self.distance(torch.stack([offset - half, offset + half], dim=-1)).to(self.decay.dtype)
        learned = torch.cat([self.x(ends[:, :, :columns]), self.y(ends[:, :, columns:])], dim=2)
        outside = (offset.abs() / side.clamp(min=stride) - 0.5).relu().to(self.decay.dtype)
        scores = (learned - outside[..., None] * self.decay).permute(0, 3, 1, 2)  # B H N columns+rows
        return AxialScores(columns=scores[..., :columns], rows=scores[..., columns:])

    def start(self, decay: float) -> None:
        """Initialise so that the MLPs add nothing, and the bias is that of `decay` alone."""
        for mlp in (self.x, self.y):
            first, _, last = mlp.parameters()
            nn.init.trunc_normal_(first, std=self.distance.std)
            nn.init.zeros_(last)
        nn.init.constant_(self.decay, decay)
