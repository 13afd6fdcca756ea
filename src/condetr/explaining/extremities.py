"""Where on an object attention falls: inside its box, near the border of the box, at which of its four extremities.

Boxes here are relative xyxy. A map's cell in column c of w covers c/w to (c + 1)/w of the image. (The position
embedding places it at (c + 1)/w, and the middle of its receptive field is near c/w, so positions are exact to half a
cell. All cells count as equally wide, including the last ones of an image whose sides are no multiples of the stride.)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..shapes import Float, Int

REGIONS = ("inside", "left", "top", "right", "bottom", "elsewhere")  # of an object, where a map can have its peak
REGION_POINTS = ((0.0, 0.0), (-1.0, 0.0), (0.0, -1.0), (1.0, 0.0), (0.0, 1.0))  # box coordinates; elsewhere has none
MIDDLE = 1 / 3  # in half sides of the box: up to this distance from the middle, a point is inside
BEYOND = 1.5  # in half sides of the box: a cell that lies wholly beyond this distance is elsewhere
BAND = 0.1  # of the box's sides: up to this distance from the border, in and out, a point is near the border

Boxes = Float[Tensor, "M 4"]


@dataclass(frozen=True, slots=True)
class Shares:
    """Fractions of each head's attention, for each object; `*_uniform` are those of a uniform map."""

    inside: Float[Tensor, "*any M"]
    border: Float[Tensor, "*any M"]
    inside_uniform: Float[Tensor, " M"]
    border_uniform: Float[Tensor, " M"]


def shares(maps: Float[Tensor, "*any M h w"], boxes: Boxes) -> Shares:
    """The fraction of each map inside its box, and the fraction within BAND of the box's border."""
    inside = coverage(boxes, *maps.shape[-2:])
    band = coverage(_grown(boxes, BAND), *maps.shape[-2:]) - coverage(_grown(boxes, -BAND), *maps.shape[-2:])
    return Shares(
        inside=(maps * inside).sum((-2, -1)),
        border=(maps * band).sum((-2, -1)),
        inside_uniform=inside.mean((-2, -1)),
        border_uniform=band.mean((-2, -1)),
    )


def coverage(boxes: Boxes, height: int, width: int) -> Float[Tensor, "M h w"]:
    """The fraction of each cell that a box covers."""
    x = _overlap(boxes[:, 0], boxes[:, 2], width)
    y = _overlap(boxes[:, 1], boxes[:, 3], height)
    return y[:, :, None] * x[:, None, :]


def mass_centre(maps: Float[Tensor, "*any h w"]) -> Float[Tensor, "*any 2"]:
    """The mean position (x, y) of the attention, relative to the image."""
    x, y = (_middles(n, maps) for n in (maps.shape[-1], maps.shape[-2]))
    return torch.stack([(maps.sum(-2) * x).sum(-1), (maps.sum(-1) * y).sum(-1)], dim=-1)


def peak(maps: Float[Tensor, "*any h w"]) -> Float[Tensor, "*any 2"]:
    """The middle (x, y) of the cell with the most attention, relative to the image."""
    height, width = maps.shape[-2:]
    cell = maps.flatten(-2).argmax(-1)
    return torch.stack([_middles(width, maps)[cell % width], _middles(height, maps)[cell // width]], dim=-1)


def box_coordinates(points: Float[Tensor, "*any M 2"], boxes: Boxes) -> Float[Tensor, "*any M 2"]:
    """Points in the box's own coordinates: (0, 0) is its middle, (-1, 0) the middle of its left side, and so on."""
    low, high = boxes[:, :2], boxes[:, 2:]
    return (2 * points - low - high) / _sides(boxes)


def distances(points: Float[Tensor, "*any 2"]) -> Float[Tensor, "*any 5"]:
    """From points in box coordinates to REGION_POINTS, in half sides of the box."""
    return (points[..., None, :] - points.new_tensor(REGION_POINTS)).norm(dim=-1)


def peak_region(maps: Float[Tensor, "*any M h w"], boxes: Boxes) -> Int[Tensor, "*any M"]:
    """The index in REGIONS of the cell with the most attention.

    It is elsewhere where the whole cell is BEYOND in either direction, and otherwise the `region` of its middle. (The
    whole cell, because the middle of the one cell that holds a very small box may be many half sides away from it.)
    """
    points = box_coordinates(peak(maps), boxes)
    cells = boxes.new_tensor([1 / maps.shape[-1], 1 / maps.shape[-2]]) / _sides(boxes)  # half of one, in half sides
    beyond = (points.abs() - cells).amax(-1) > BEYOND
    return torch.where(beyond, REGIONS.index("elsewhere"), region(points))


def region(points: Float[Tensor, "*any 2"]) -> Int[Tensor, "*any"]:
    """The index in REGIONS of points in box coordinates: inside in the middle third of both directions, otherwise the
    side in whose direction the point is furthest from the middle.

    (The nearest of REGION_POINTS would count a peak halfway up to the top as inside; on grids as coarse as these that
    is most of them.)
    """
    x, y = points.unbind(-1)
    horizontal = torch.where(x < 0, REGIONS.index("left"), REGIONS.index("right"))
    vertical = torch.where(y < 0, REGIONS.index("top"), REGIONS.index("bottom"))
    side = torch.where(x.abs() >= y.abs(), horizontal, vertical)
    return torch.where(torch.maximum(x.abs(), y.abs()) <= MIDDLE, REGIONS.index("inside"), side)


def extremities(boxes: Float[Tensor, "*any 4"]) -> Float[Tensor, "*any 4 2"]:
    """The middles of a box's left, top, right and bottom side."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return torch.stack([torch.stack(p, -1) for p in ((x1, y), (x, y1), (x2, y), (x, y2))], dim=-2)


def _overlap(low: Float[Tensor, " M"], high: Float[Tensor, " M"], cells: int) -> Float[Tensor, "M n"]:
    """The fraction of each of `cells` equal intervals of [0, 1] that lies between low and high."""
    start = torch.arange(cells, device=low.device)
    return (torch.minimum(high[:, None] * cells, start + 1) - torch.maximum(low[:, None] * cells, start)).clamp(0, 1)


def _grown(boxes: Boxes, fraction: float) -> Boxes:
    margin = fraction * (boxes[:, 2:] - boxes[:, :2])
    return torch.cat([boxes[:, :2] - margin, boxes[:, 2:] + margin], dim=-1)


def _sides(boxes: Boxes) -> Float[Tensor, "M 2"]:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6)


def _middles(cells: int, like: Tensor) -> Float[Tensor, " n"]:
    return (torch.arange(cells, device=like.device, dtype=like.dtype) + 0.5) / cells
