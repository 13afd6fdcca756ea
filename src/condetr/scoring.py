"""Classification by softmax or by sigmoids with focal loss. One object defines the number of logits, the matching cost,
the loss, the probabilities and the ranking of detections, because these must agree."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .shapes import Float, Int
from .types import OptimizerStep

Ranked = tuple[Float[Tensor, "B M"], Int[Tensor, "B M"], Int[Tensor, "B M"]]


@dataclass(frozen=True, slots=True)
class Matched:
    """The matched pairs of a query and an object: `queries` are the query's layer, image and index, as in logits;
    `labels` the object's label; `iou` the intersection over union of both boxes, without gradient."""

    queries: tuple[Int[Tensor, " P"], Int[Tensor, " P"], Int[Tensor, " P"]]
    labels: Int[Tensor, " P"]
    iou: Float[Tensor, " P"]


class Scoring(ABC):
    @abstractmethod
    def num_logits(self, classes: int) -> int:
        """The number of logits C for K classes."""

    @abstractmethod
    def cost(self, logits: Float[Tensor, "*any N C"], labels: Int[Tensor, "*any M"]) -> Float[Tensor, "*any N M"]:
        """The class part of the cost of matching each query with each object."""

    @abstractmethod
    def loss(self, logits: Float[Tensor, "S B N C"], matched: Matched, step: OptimizerStep) -> Float[Tensor, " S"]:
        """The classification loss of each layer. Matched queries have a label, all others are background.

        A scoring may use the IoU to let a score express how well its box fits. Focal and softmax scoring ignore it.
        `step` normalises: its object counts are of the whole optimizer step, of which these images may be a part.
        """

    @abstractmethod
    def probabilities(self, logits: Float[Tensor, "*any C"]) -> Float[Tensor, "*any K"]: ...

    @abstractmethod
    def rank(self, probability: Float[Tensor, "B N K"], real: Int[Tensor, " R"], limit: int) -> Ranked:
        """Scores, queries and labels of the best `limit` detections, best first, with labels in `real` only."""


class SoftmaxScoring(Scoring):
    """DETR: one of K classes or 'no object', which is the last logit and weighs less in the loss."""

    def __init__(self, background_weight: float) -> None:
        self.background_weight = background_weight

    def num_logits(self, classes: int) -> int:
        return classes + 1

    def cost(self, logits: Float[Tensor, "*any N C"], labels: Int[Tensor, "*any M"]) -> Float[Tensor, "*any N M"]:
        return -_columns(logits.softmax(-1), labels)

    def loss(self, logits: Float[Tensor, "S B N C"], matched: Matched, step: OptimizerStep) -> Float[Tensor, " S"]:
        """Cross-entropy, a weighted mean over the queries of the step's images (DETR, eq. 2)."""
        background = logits.shape[-1] - 1
        truth = torch.full(logits.shape[:-1], background, device=logits.device)
        truth[matched.queries] = matched.labels
        weight = torch.ones(logits.shape[-1], dtype=logits.dtype, device=logits.device)
        weight[background] = self.background_weight
        entropy = F.cross_entropy(logits.flatten(0, 2), truth.flatten(), weight, reduction="none")
        queries = logits.shape[2]
        matched_queries = step.object_counts.matched(queries)
        background_queries = len(step.object_counts.counts) * queries - matched_queries
        return entropy.view_as(truth).sum((1, 2)) / (matched_queries + self.background_weight * background_queries)

    def probabilities(self, logits: Float[Tensor, "*any C"]) -> Float[Tensor, "*any K"]:
        return logits.softmax(-1)[..., :-1]

    def rank(self, probability: Float[Tensor, "B N K"], real: Int[Tensor, " R"], limit: int) -> Ranked:
        """Each query gives one detection, of its best class."""
        score, best = probability[..., real].max(-1)
        if torch.jit.is_tracing():  # exporters know no stable sort; the sort that they write is stable
            score, query = score.sort(dim=-1, descending=True)
        else:
            score, query = score.sort(dim=-1, descending=True, stable=True)
        return score[:, :limit], query[:, :limit], real[best.gather(1, query)][:, :limit]


class SigmoidScoring(Scoring):
    """K independent binary classifications; a query may give several detections. The loss is the subclass's."""

    def num_logits(self, classes: int) -> int:
        return classes

    def probabilities(self, logits: Float[Tensor, "*any C"]) -> Float[Tensor, "*any K"]:
        return logits.sigmoid()

    def rank(self, probability: Float[Tensor, "B N K"], real: Int[Tensor, " R"], limit: int) -> Ranked:
        return rank_pairs(probability, real, limit)


class FocalScoring(SigmoidScoring):
    """Conditional DETR: K independent binary classifications, in which hard ones weigh more (Lin et al. 2017)."""

    def __init__(self, alpha: float, gamma: float) -> None:
        self.alpha, self.gamma = alpha, gamma

    def cost(self, logits: Float[Tensor, "*any N C"], labels: Int[Tensor, "*any M"]) -> Float[Tensor, "*any N M"]:
        return focal_cost(logits, labels, self.alpha, self.gamma)

    def loss(self, logits: Float[Tensor, "S B N C"], matched: Matched, step: OptimizerStep) -> Float[Tensor, " S"]:
        """Sigmoid focal loss, summed over all logits and divided by the number of objects.

        Nearly all logits are negatives: their loss is summed over all logits, then replaced at the few positives.
        """
        total = (1 - self.alpha) * self._focal(logits).sum((1, 2, 3))
        x = logits[(*matched.queries, matched.labels)]
        correction = self.alpha * self._focal(-x) - (1 - self.alpha) * self._focal(x)
        return total.index_add(0, matched.queries[0], correction) / step.object_counts.objects

    def _focal(self, x: Tensor) -> Tensor:
        """The focal loss of negatives without alpha: sigmoid(x)^gamma · -log(1 - sigmoid(x)). Of positives: at -x."""
        return x.sigmoid() ** self.gamma * F.softplus(x)


PRIOR = -math.log((1 - 0.01) / 0.01)  # the class bias with which every score of a sigmoid starts at 0.01


def focal_cost(
    logits: Float[Tensor, "*any N C"], labels: Int[Tensor, "*any M"], alpha: float, gamma: float
) -> Float[Tensor, "*any N M"]:
    """The focal loss of a positive minus that of a negative, with the official code's 1e-8 in the logarithms."""
    p = _columns(logits, labels).sigmoid()
    positive = alpha * (1 - p) ** gamma * -(p + 1e-8).log()
    negative = (1 - alpha) * p**gamma * -(1 - p + 1e-8).log()
    return positive - negative


def rank_pairs(probability: Float[Tensor, "B N K"], real: Int[Tensor, " R"], limit: int) -> Ranked:
    """The best pairs of a query and a class; a query may give several detections."""
    pairs = probability[..., real].flatten(1)
    score, pair = pairs.topk(min(limit, pairs.shape[1]), dim=1)
    return score, pair // len(real), real[pair % len(real)]


def _columns(x: Float[Tensor, "*any N C"], labels: Int[Tensor, "*any M"]) -> Float[Tensor, "*any N M"]:
    """For each query, the entries of the objects' labels."""
    return x.gather(-1, labels[..., None, :].expand(*x.shape[:-1], labels.shape[-1]))
