"""One-to-many supervision: a second class head on the same queries, whose objects are learned by several queries each.

Zhao et al., "MS-DETR: Efficient DETR Training with Mixed Supervision", CVPR 2024, architecture (a). The second head
is only there in training, the box head is shared. With queries N and objects M of an image, the score of a pair is

    S = 0.7 IoU + 0.3 p        p: the second head's probability of the object's class

Each query may learn the object with which it has the highest S, if that is at least 0.4. The query with an object's
highest S learns this object in any case. At most 6 queries learn an object, those with the highest S.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..boxes import cxcywh_to_xyxy, iou_and_giou
from ..cpu.linear import Linear
from ..model.decoders import Decoded
from ..model.detector import Detector
from ..model.layers import at_least_float32
from ..scoring import PRIOR, FocalScoring
from ..shapes import Float
from ..types import OptimizerStep, Predictions, Target
from .matching import Matches, PaddedTargets
from .set_loss import LossTerms, SetLoss, loss_of_matches
from .supervision import OneToOne, Supervision, by_group, predictions_of

IOU_SHARE = 0.7
SMALLEST_SCORE = 0.4
MOST_QUERIES = 6  # for each object
CLASS_WEIGHT = 2.0  # of the second head's class loss, relative to the first's
ALPHA, GAMMA = 0.25, 2.0  # of the second head's focal loss


class OneToMany(Supervision):
    """One-to-one supervision of the detector's heads, and one-to-many supervision of a second class head of K logits
    with focal loss. The class loss of the second head weighs twice that of the first, as published (2 and 1)."""

    def __init__(self, loss: SetLoss, dim: int, classes: int) -> None:
        super().__init__()
        self.one_to_one, self.scoring = OneToOne(loss), FocalScoring(ALPHA, GAMMA)
        self.classes = Linear(dim, classes)
        nn.init.constant_(self.classes.bias, PRIOR)

    def forward(
        self, detector: Detector, decoded: Decoded, groups: int, targets: Sequence[Target], step: OptimizerStep
    ) -> LossTerms:
        own = predictions_of(detector, decoded, groups)
        second = Predictions(by_group(self.classes(decoded.embeddings), groups), own.boxes)
        padded = PaddedTargets.of(targets)
        terms = loss_of_matches(self.scoring, second, select(second, padded), padded, step).mean_over(groups)
        terms = LossTerms(CLASS_WEIGHT * terms.classes, terms.l1, terms.giou)
        return self.one_to_one.of_predictions(own, groups, targets, step) + terms


@torch.no_grad()
def select(predictions: Predictions, targets: PaddedTargets) -> Matches:
    """The pairs of an object and a query that learns it."""
    if not any(targets.counts):
        return Matches.none(predictions.logits.device)
    score = pair_scores(predictions, targets)
    # an object's best query goes before all others, which have scores of at most 1
    best = score == score.amax(2, keepdim=True)
    score = torch.where(best & (score >= 0), score + 1, score)
    highest, object = score.max(-1)
    score = torch.where(torch.arange(score.shape[-1], device=score.device) == object[..., None], score, -1.0)
    score = score.masked_fill(highest[..., None] < SMALLEST_SCORE, -1.0)
    chosen, query = score.topk(min(MOST_QUERIES, score.shape[2]), dim=2)
    layer, image, rank, object = (chosen >= 0).nonzero(as_tuple=True)
    return Matches(layer, image, query[layer, image, rank, object], object)


def pair_scores(predictions: Predictions, targets: PaddedTargets) -> Float[Tensor, "S B N M"]:
    """S of each query and object; -1 for the padding of the targets."""
    logits, boxes = at_least_float32(predictions.logits), at_least_float32(predictions.boxes)
    columns = targets.labels[None, :, None].expand(*logits.shape[:3], -1)
    iou, _ = iou_and_giou(cxcywh_to_xyxy(boxes[..., None, :]), cxcywh_to_xyxy(targets.boxes[None, :, None]))
    score = IOU_SHARE * iou + (1 - IOU_SHARE) * logits.gather(-1, columns).sigmoid()
    counts = torch.tensor(targets.counts, device=score.device)
    return score.masked_fill((torch.arange(score.shape[-1], device=score.device) >= counts[:, None])[:, None], -1.0)
