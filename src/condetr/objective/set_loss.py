"""The set loss: match, then supervise class and box at every decoder layer (DETR, section 3.1 and appendix A.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..boxes import cxcywh_to_xyxy, generalized_iou
from ..scoring import Scoring
from ..shapes import Float
from ..types import ObjectCounts, Predictions, Target
from .matching import Matcher, PaddedTargets


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


@dataclass(frozen=True, slots=True)
class LossWeights:
    classes: float
    l1: float
    giou: float

    def total(self, terms: LossTerms) -> Float[Tensor, ""]:
        """Deep supervision: every layer counts the same."""
        return (self.classes * terms.classes + self.l1 * terms.l1 + self.giou * terms.giou).sum()


class SetLoss:
    def __init__(self, scoring: Scoring, matcher: Matcher) -> None:
        self.scoring, self.matcher = scoring, matcher

    def __call__(self, predictions: Predictions, targets: Sequence[Target], object_counts: ObjectCounts) -> LossTerms:
        """The part that these images have in the loss of the optimizer step that `object_counts` describes.

        The parts of a step add up to its loss; where it has one part, that is the papers' loss of a batch.
        """
        padded = PaddedTargets.of(targets)
        matches = self.matcher(predictions, padded)
        logits = predictions.logits.float()
        found = predictions.boxes.float()[matches.queries]
        chosen = (matches.image, matches.object)
        truth = padded.boxes[chosen]
        l1 = (found - truth).abs().sum(-1)
        giou = 1 - generalized_iou(cxcywh_to_xyxy(found), cxcywh_to_xyxy(truth))
        nothing = logits.new_zeros(len(logits))
        return LossTerms(
            classes=self.scoring.loss(logits, matches.queries, padded.labels[chosen], object_counts),
            l1=nothing.index_add(0, matches.layer, l1) / object_counts.objects,
            giou=nothing.index_add(0, matches.layer, giou) / object_counts.objects,
        )
