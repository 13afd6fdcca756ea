"""Small layers: the MLP, the feed-forward network, and the sine embedding of points and of the image grid."""

import itertools
import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from ..cpu.dropout import ReLUDropout
from ..cpu.linear import Linear
from ..shapes import Bool, Float


class MLP(nn.Sequential):
    """`layers` linear layers with ReLUs between them."""

    def __init__(self, inputs: int, hidden: int, outputs: int, layers: int) -> None:
        widths = [inputs] + [hidden] * (layers - 1) + [outputs]
        linears = [Linear(a, b) for a, b in itertools.pairwise(widths)]
        super().__init__(*[m for linear in linears for m in (linear, nn.ReLU())][:-1])

    @torch.no_grad()
    def start_with(self, value: Float[Tensor, "*_o"]) -> None:
        """Initialise so that the output is `value` for every input: with zero weights in the last layer."""
        weight, bias = self[-1].parameters()
        weight.zero_()
        bias.copy_(value)


class FeedForward(nn.Sequential):
    """The feed-forward network of a transformer layer: linear, ReLU, dropout, linear."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        layers = {
            "0": Linear(dim, hidden),
            "1": ReLUDropout(dropout),
            "3": Linear(hidden, dim),
        }  # the names in saved weights
        super().__init__(OrderedDict(layers))


def at_least_float32(x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """x in float32, or in float64 where it is that."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def embed_points(points: Float[Tensor, "*any 2"], dim: int) -> Float[Tensor, "*any D"]:
    """The sine embedding of points (x, y) in [0, 1], in float32 at least (Conditional DETR, section 3.3).

    The first half of the channels embeds y, the second half x.
    """
    return embed(points.flip(-1), dim // 2)


def embed_boxes(boxes: Float[Tensor, "*any 4"], dim: int) -> Float[Tensor, "*any _e"]:
    """The sine embedding of boxes (cxcywh): y, x, w and h, with `dim` / 2 channels each (DAB-DETR, section 4.2)."""
    x, y, w, h = boxes.unbind(-1)
    return embed(torch.stack([y, x, w, h], dim=-1), dim // 2)


def embed(numbers: Float[Tensor, "*any _c"], channels: int) -> Float[Tensor, "*any _e"]:
    """The sine embeddings of numbers in [0, 1], side by side, with `channels` each, in float32 at least.

    Sines and cosines alternate. The temperature is DETR's, 10000.
    """
    channel = torch.arange(channels, device=numbers.device)
    period = 10000 ** (2 * (channel // 2).float() / channels)
    angle = 2 * math.pi * at_least_float32(numbers)[..., None] / period
    return torch.stack([angle[..., 0::2].sin(), angle[..., 1::2].cos()], dim=-1).flatten(-3)


def embed_grid(padding: Bool[Tensor, "B h w"], dim: int) -> Float[Tensor, "B h w D"]:
    """The sine embedding of grid cells. Column c of an unpadded width of w is at (c + 1) / w (DETR, appendix A.4)."""
    inside = (~padding).float()
    y, x = inside.cumsum(1), inside.cumsum(2)
    points = torch.stack([x / (x[:, :, -1].unsqueeze(2) + 1e-6), y / (y[:, -1].unsqueeze(1) + 1e-6)], dim=-1)
    return embed_points(points, dim)
