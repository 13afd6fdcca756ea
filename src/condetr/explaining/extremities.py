"""Which part of an object attention falls on: inside its box, near its border, at which of its four extremities.

Boxes here are relative xyxy. A map's cell in column c of w covers c/w to (c + 1)/w of the image. (The position
embedding says (c + 1)/w and the middle of the receptive field is near c/w: half a cell is as near as one can tell. It
counts cells alike, also the last ones of an image whose sides are no multiples of the stride.)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..shapes import Float, Int

LANDMARKS = ("inside", "left", "top", "right", "bottom", "elsewhere")
PLACES = (
    (0.0, 0.0),
    (-1.0, 0.0),
    (0.0, -1.0),
    (1.0, 0.0),
    (0.0, 1.0),
)  # in a box's own coordinates; elsewhere has none
MIDDLE = 1 / 3  # of a box's half sides: how far from its middle still counts as inside rather than at a side
BEYOND = 1.5  # of a box's half sides: what is wholly further from its middle is at no side of it but elsewhere
BAND = 0.1  # of a box's sides: how far from its border, in and out, counts as near

Boxes = Float[Tensor, "M 4"]


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of the attention of each head, for each object; `*_uniform` are those of attention that looks nowhere."""

    inside: Float[Tensor, "*any M"]
    border: Float[Tensor, "*any M"]
    inside_uniform: Float[Tensor, " M"]
    border_uniform: Float[Tensor, " M"]


def shares(maps: Float[Tensor, "*any M h w"], boxes: Boxes) -> Shares:
    """How much of each map lies in its box, and within BAND of the box's border."""
    inside = coverage(boxes, *maps.shape[-2:])
    band = coverage(_grown(boxes, BAND), *maps.shape[-2:]) - coverage(_grown(boxes, -BAND), *maps.shape[-2:])
    return Shares(
        inside=(maps * inside).sum((-2, -1)),
        border=(maps * band).sum((-2, -1)),
        inside_uniform=inside.mean((-2, -1)),
        border_uniform=band.mean((-2, -1)),
    )


def coverage(boxes: Boxes, height: int, width: int) -> Float[Tensor, "M h w"]:
    """The part of each cell that a box covers."""
    x = _overlap(boxes[:, 0], boxes[:, 2], width)
    y = _overlap(boxes[:, 1], boxes[:, 3], height)
    return y[:, :, None] * x[:, None, :]


def mass_centre(maps: Float[Tensor, "*any h w"]) -> Float[Tensor, "*any 2"]:
    """The mean place (x, y) of attention, relative to the image."""
    x, y = (_middles(n, maps) for n in (maps.shape[-1], maps.shape[-2]))
    return torch.stack([(maps.sum(-2) * x).sum(-1), (maps.sum(-1) * y).sum(-1)], dim=-1)


def peak(maps: Float[Tensor, "*any h w"]) -> Float[Tensor, "*any 2"]:
    """The middle (x, y) of the cell with the most attention, relative to the image."""
    height, width = maps.shape[-2:]
    cell = maps.flatten(-2).argmax(-1)
    return torch.stack([_middles(width, maps)[cell % width], _middles(height, maps)[cell // width]], dim=-1)


def within_box(points: Float[Tensor, "*any M 2"], boxes: Boxes) -> Float[Tensor, "*any M 2"]:
    """Points in the box's own coordinates: (0, 0) is its middle, (-1, 0) the middle of its left side, and so on."""
    low, high = boxes[:, :2], boxes[:, 2:]
    return (2 * points - low - high) / _sides(boxes)


def distances(points: Float[Tensor, "*any 2"]) -> Float[Tensor, "*any 5"]:
    """From points in a box's own coordinates to the five LANDMARKS that have a place, in half sides of the box."""
    return (points[..., None, :] - points.new_tensor(PLACES)).norm(dim=-1)


def looks_at(maps: Float[Tensor, "*any M h w"], boxes: Boxes) -> Int[Tensor, "*any M"]:
    """Which of LANDMARKS the brightest cell of each map is at: elsewhere where all of the cell is BEYOND in either
    direction, else as `landmark` says of its middle. (All of it, for the one cell that holds a box much smaller than
    itself has its middle many half sides away.)"""
    points = within_box(peak(maps), boxes)
    cells = boxes.new_tensor([1 / maps.shape[-1], 1 / maps.shape[-2]]) / _sides(boxes)  # half of one, in half sides
    beyond = (points.abs() - cells).amax(-1) > BEYOND
    return torch.where(beyond, LANDMARKS.index("elsewhere"), landmark(points))


def landmark(points: Float[Tensor, "*any 2"]) -> Int[Tensor, "*any"]:
    """Which of LANDMARKS points in a box's own coordinates are at, if at any: inside in the middle third of both
    directions, else at the side they are furthest towards. (The nearest landmark would call a head that looks halfway
    up to the top one for the inside; on grids as coarse as these that is most of them.)"""
    x, y = points.unbind(-1)
    sideways = torch.where(x < 0, LANDMARKS.index("left"), LANDMARKS.index("right"))
    upright = torch.where(y < 0, LANDMARKS.index("top"), LANDMARKS.index("bottom"))
    side = torch.where(x.abs() >= y.abs(), sideways, upright)
    return torch.where(torch.maximum(x.abs(), y.abs()) <= MIDDLE, LANDMARKS.index("inside"), side)


def extremities(boxes: Float[Tensor, "*any 4"]) -> Float[Tensor, "*any 4 2"]:
    """The middles of a box's left, top, right and bottom side."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return torch.stack([torch.stack(p, -1) for p in ((x1, y), (x, y1), (x2, y), (x, y2))], dim=-2)


def _overlap(low: Float[Tensor, " M"], high: Float[Tensor, " M"], cells: int) -> Float[Tensor, "M n"]:
    """The part of each of so many cells, side by side from 0 to 1, that lies between low and high."""
    start = torch.arange(cells, device=low.device)
    return (torch.minimum(high[:, None] * cells, start + 1) - torch.maximum(low[:, None] * cells, start)).clamp(0, 1)


def _grown(boxes: Boxes, part: float) -> Boxes:
    margin = part * (boxes[:, 2:] - boxes[:, :2])
    return torch.cat([boxes[:, :2] - margin, boxes[:, 2:] + margin], dim=-1)


def _sides(boxes: Boxes) -> Float[Tensor, "M 2"]:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6)


def _middles(cells: int, like: Tensor) -> Float[Tensor, " n"]:
    return (torch.arange(cells, device=like.device, dtype=like.dtype) + 0.5) / cells
