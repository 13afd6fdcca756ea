"""The one-to-one assignment of queries to objects with the least cost, for all layers and images at once.

All costs are computed in one batched pass over padded targets and moved to the host in one transfer; the assignment
itself (scipy's Jonker-Volgenant) is exact. DETR, eq. 1; the weights are the loss weights, as in both papers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ..boxes import cxcywh_to_xyxy, generalized_iou
from ..model.layers import at_least_float32
from ..scoring import Scoring
from ..shapes import Float, Int
from ..types import Predictions, Target


@dataclass(frozen=True, slots=True)
class Matches:
    """P pairs: in `layer` and `image`, `query` is matched with `object`, an index into the image's target."""

    layer: Int[Tensor, " P"]
    image: Int[Tensor, " P"]
    query: Int[Tensor, " P"]
    object: Int[Tensor, " P"]

    @classmethod
    def none(cls, device: torch.device) -> "Matches":
        """No pairs, P = 0."""
        empty = torch.zeros(0, dtype=torch.int64, device=device)
        return cls(empty, empty, empty, empty)

    @property
    def queries(self) -> tuple[Tensor, Tensor, Tensor]:
        """The index of each pair's prediction in a tensor of axes S B N."""
        return self.layer, self.image, self.query


@dataclass(frozen=True, slots=True)
class PaddedTargets:
    """The targets of a batch as two tensors, padded to M, the most objects that one of the images has."""

    labels: Int[Tensor, "B M"]
    boxes: Float[Tensor, "B M 4"]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, targets: Sequence[Target], at_least: int = 0) -> "PaddedTargets":
        """Padded to `at_least` objects, or more."""
        counts = tuple(len(t.labels) for t in targets)
        objects = max(at_least, *counts)
        labels = targets[0].labels.new_zeros(len(targets), objects)
        boxes = targets[0].boxes.new_full((len(targets), objects, 4), 0.5)
        for i, (target, count) in enumerate(zip(targets, counts)):
            labels[i, :count] = target.labels
            boxes[i, :count] = target.boxes
        return cls(labels, boxes, counts)


class Matcher:
    """The matching cost of a query and an object is a weighted sum of class cost, L1 distance and negative GIoU."""

    def __init__(self, scoring: Scoring, class_cost: float, l1_cost: float, giou_cost: float) -> None:
        self.scoring = scoring
        self.class_cost, self.l1_cost, self.giou_cost = class_cost, l1_cost, giou_cost

    @torch.no_grad()
    def __call__(self, predictions: Predictions, targets: PaddedTargets) -> Matches:
        """Match each layer of each image. If there are more objects than queries, all queries are matched."""
        if not any(targets.counts):
            return Matches.none(predictions.logits.device)
        # scipy rejects NaN and infinite costs: they become finite, and the training loop reports the loss that is not
        cost = np.nan_to_num(self.cost(predictions, targets).mT.cpu().numpy().astype(np.float64))
        pairs = [
            (layer, image, *linear_sum_assignment(cost[layer, image, :count]))
            for layer in range(cost.shape[0])
            for image, count in enumerate(targets.counts)
            if count
        ]
        index = np.concatenate(
            [np.stack([np.full_like(query, layer), np.full_like(query, image), query, object])
             for layer, image, object, query in pairs],
            axis=1,
        )  # fmt: skip
        return Matches(*torch.from_numpy(index).to(predictions.logits.device, non_blocking=True))

    def cost(self, predictions: Predictions, targets: PaddedTargets) -> Float[Tensor, "S B N M"]:
        """The cost of each pair of a query and an object, in float32 at least; of padded objects it means nothing."""
        logits, boxes = at_least_float32(predictions.logits), at_least_float32(predictions.boxes)
        classes = self.scoring.cost(logits, targets.labels.expand(len(logits), -1, -1)).mT
        # queries are the last axis: the longest, so that processors and the assignment read contiguous memory
        a, b = boxes[:, :, None], targets.boxes[None, :, :, None]
        l1 = sum((p - q).abs() for p, q in zip(a.movedim(-1, 0).contiguous(), b.movedim(-1, 0).contiguous()))
        giou = generalized_iou(cxcywh_to_xyxy(a), cxcywh_to_xyxy(b))
        return (self.class_cost * classes + self.l1_cost * l1 - self.giou_cost * giou).mT
