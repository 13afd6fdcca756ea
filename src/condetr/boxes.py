"""Boxes as tensors. `cxcywh` boxes are relative to the image, in [0, 1]; `xyxy` boxes are in pixels unless stated."""

import torch
from torch import Tensor

from .shapes import Float


def cxcywh_to_xyxy(boxes: Float[Tensor, "*any 4"]) -> Float[Tensor, "*any 4"]:
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def xyxy_to_cxcywh(boxes: Float[Tensor, "*any 4"]) -> Float[Tensor, "*any 4"]:
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def area(boxes: Float[Tensor, "*any 4"]) -> Float[Tensor, "*any"]:
    """Of xyxy boxes; a box with a negative side has none."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def generalized_iou(a: Float[Tensor, "*#any 4"], b: Float[Tensor, "*#any 4"]) -> Float[Tensor, "*any"]:
    """GIoU of xyxy boxes (Rezatofighi et al. 2019), broadcasting: of all pairs with `(a[:, None], b[None])`."""
    return iou_and_giou(a, b)[1]


def iou_and_giou(
    a: Float[Tensor, "*#any 4"], b: Float[Tensor, "*#any 4"]
) -> tuple[Float[Tensor, "*any"], Float[Tensor, "*any"]]:
    """Intersection over union of xyxy boxes, and its generalisation to disjoint boxes, broadcasting."""
    # one contiguous plane for each coordinate: processors are much faster along planes than along rows of four
    ax1, ay1, ax2, ay2 = a.movedim(-1, 0).contiguous()
    bx1, by1, bx2, by2 = b.movedim(-1, 0).contiguous()
    width, height = torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1), torch.minimum(ay2, by2) - torch.maximum(ay1, by1)
    overlap = width.clamp(min=0) * height.clamp(min=0)
    width, height = torch.maximum(ax2, bx2) - torch.minimum(ax1, bx1), torch.maximum(ay2, by2) - torch.minimum(ay1, by1)
    hull = width.clamp(min=0) * height.clamp(min=0)
    union = area(a) + area(b) - overlap
    iou = overlap / union
    return iou, iou - (hull - union) / hull
