"""The set loss: match queries with objects, then supervise class and box at each decoder layer.

DETR, section 3.1 and appendix A.2. It is computed in float32 at least, whatever the precision of the forward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..boxes import cxcywh_to_xyxy, iou_and_giou
from ..engine.stopwatch import timed
from ..model.layers import at_least_float32
from ..scoring import Matched, Scoring
from ..shapes import Float
from ..types import OptimizerStep, Predictions, Target
from .matching import Matcher, Matches, PaddedTargets


@dataclass(frozen=True, slots=True)
class LossTerms:
    """The unweighted loss terms of each decoder layer, in the order of the layers."""

    classes: Float[Tensor, " S"]
    l1: Float[Tensor, " S"]
    giou: Float[Tensor, " S"]

    def values(self) -> tuple[Float[Tensor, " S"], Float[Tensor, " S"], Float[Tensor, " S"]]:
        return self.classes, self.l1, self.giou

    def __add__(self, other: "LossTerms") -> "LossTerms":
        return LossTerms(*(a + b for a, b in zip(self.values(), other.values())))

    def mean_over(self, groups: int) -> "LossTerms":
        """Terms of S·G layers, the G groups of a layer adjacent, as the means over the groups."""
        return LossTerms(*(term.unflatten(0, (-1, groups)).mean(1) for term in self.values()))


@dataclass(frozen=True, slots=True)
class LossWeights:
    """The weights of the loss terms (DETR, appendix A.2: lambda_L1 and lambda_iou; the class loss has one, too)."""

    classes: float
    l1: float
    giou: float

    def total(self, terms: LossTerms) -> Float[Tensor, ""]:
        """The weighted sum over terms and layers; every layer counts the same (deep supervision)."""
        return (self.classes * terms.classes + self.l1 * terms.l1 + self.giou * terms.giou).sum()


class SetLoss:
    """Matches queries with objects, then computes the loss of the matches."""

    def __init__(self, scoring: Scoring, matcher: Matcher) -> None:
        self.scoring, self.matcher = scoring, matcher

    def __call__(self, predictions: Predictions, targets: Sequence[Target], step: OptimizerStep) -> LossTerms:
        """The share of these images in the loss of the optimizer step that they are part of.

        The shares of a step add up to its loss. If a step is one batch, this is the loss of a batch in the papers.
        """
        padded = PaddedTargets.of(targets)
        with timed("matching"):
            matches = self.matcher(predictions, padded)
        return loss_of_matches(self.scoring, predictions, matches, padded, step)


def loss_of_matches(
    scoring: Scoring, predictions: Predictions, matches: Matches, targets: PaddedTargets, step: OptimizerStep
) -> LossTerms:
    """The loss of given matches; queries without a match are background."""
    logits = at_least_float32(predictions.logits)
    predicted = at_least_float32(predictions.boxes)[matches.queries]
    objects = (matches.image, matches.object)
    truth = targets.boxes[objects]
    l1 = (predicted - truth).abs().sum(-1)
    iou, giou = iou_and_giou(cxcywh_to_xyxy(predicted), cxcywh_to_xyxy(truth))
    matched = Matched(matches.queries, targets.labels[objects], iou.detach())
    zero = logits.new_zeros(len(logits))
    return LossTerms(
        classes=scoring.loss(logits, matched, step),
        l1=zero.index_add(0, matches.layer, l1) / step.object_counts.objects,
        giou=zero.index_add(0, matches.layer, 1 - giou) / step.object_counts.objects,
    )
