"""Scorings whose scores learn how well the box fits: the target of a positive depends on its IoU instead of being 1.

Both classify with K sigmoids, are matched with the focal cost, and change only the loss:

    loss = (sum over positives of BCE(p, t)  +  sum over negatives of w(p) · -log(1 - p)) / objects

p: the probability that is supervised.  t: its target, without gradient.  w: the weight of a negative. Early in a run
boxes are poor and so are their IoUs; the target therefore goes from 1 to t during the first part of the run (`ramp`):

    t ← (1 - r) + r t,   r = min(1, progress / ramp)
"""

from torch import Tensor
from torch.nn import functional as F

from .scoring import Matched, SigmoidScoring, focal_cost
from .shapes import Float, Int
from .types import OptimizerStep

ALPHA, GAMMA = 0.25, 2.0  # of the focal matching cost, as published
SMALLEST = 0.01  # target of a positive


class RampedScoring(SigmoidScoring):
    """Matched with the focal cost; the target of a positive is ramped. The loss is the subclass's."""

    def __init__(self, ramp: float) -> None:
        self.ramp = ramp

    def cost(self, logits: Float[Tensor, "*any N C"], labels: Int[Tensor, "*any M"]) -> Float[Tensor, "*any N M"]:
        return focal_cost(logits, labels, ALPHA, GAMMA)


class IouAwareScoring(RampedScoring):
    """IA-BCE (Cai et al. 2023, "Align-DETR"): t = p^0.25 · IoU^0.75, at least 0.01; w = p², with gradient."""

    def loss(self, logits: Float[Tensor, "S B N C"], matched: Matched, step: OptimizerStep) -> Float[Tensor, " S"]:
        x = logits[(*matched.queries, matched.labels)]
        target = (x.detach().sigmoid() ** 0.25 * matched.iou**0.75).clamp(min=SMALLEST)
        positive = _cross_entropy(x, ramped(target, self.ramp, step.progress))
        total = (logits.sigmoid() ** 2 * F.softplus(logits)).sum((1, 2, 3))
        correction = positive - x.sigmoid() ** 2 * F.softplus(x)
        return total.index_add(0, matched.queries[0], correction) / step.object_counts.objects


class MatchabilityScoring(RampedScoring):
    """MAL (Huang et al. 2025, "DEIM"): t = IoU^1.5; w = p^1.5, without gradient."""

    def loss(self, logits: Float[Tensor, "S B N C"], matched: Matched, step: OptimizerStep) -> Float[Tensor, " S"]:
        x = logits[(*matched.queries, matched.labels)]
        positive = _cross_entropy(x, ramped(matched.iou**1.5, self.ramp, step.progress))
        total = (logits.detach().sigmoid() ** 1.5 * F.softplus(logits)).sum((1, 2, 3))
        correction = positive - x.detach().sigmoid() ** 1.5 * F.softplus(x)
        return total.index_add(0, matched.queries[0], correction) / step.object_counts.objects


def ramped(target: Float[Tensor, " P"], ramp: float, progress: float) -> Float[Tensor, " P"]:
    """(1 - r) + r t: 1 at the start of a run, and the target itself once the share `ramp` of its steps is done."""
    r = min(1.0, progress / ramp) if ramp else 1.0
    return 1 - r + r * target


def _cross_entropy(x: Float[Tensor, " P"], target: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
    return F.binary_cross_entropy_with_logits(x, target, reduction="none")
