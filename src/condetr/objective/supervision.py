"""How the predictions of a set of queries are compared with the objects: one query for each object, or several.

The queries may be in G groups, the groups of an image one after another in the batch axis. Each group is compared with
all objects, and the loss is the mean over the groups.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from ..model.decoders import Decoded
from ..model.detector import Detector
from ..shapes import Float
from ..types import OptimizerStep, Predictions, Target
from .set_loss import LossTerms, SetLoss


class Supervision(nn.Module, ABC):
    @abstractmethod
    def forward(
        self, detector: Detector, decoded: Decoded, groups: int, targets: Sequence[Target], step: OptimizerStep
    ) -> LossTerms:
        """The loss of decoded queries; embeddings are S (B·G) N D."""


class OneToOne(Supervision):
    """Each object is learned by one query, all others are background: the set loss of both papers."""

    def __init__(self, loss: SetLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(
        self, detector: Detector, decoded: Decoded, groups: int, targets: Sequence[Target], step: OptimizerStep
    ) -> LossTerms:
        return self.of_predictions(detector.apply_heads(decoded), groups, targets, step)

    def of_predictions(
        self, predictions: Predictions, groups: int, targets: Sequence[Target], step: OptimizerStep
    ) -> LossTerms:
        """The loss of predictions S (B·G) N."""
        return self.loss(by_group(predictions, groups), targets, step).mean_over(groups)


def by_group(predictions: Predictions, groups: int) -> Predictions:
    """From S (B·G) N to (S·G) B N, so that the groups of a layer are adjacent and are matched as layers are."""
    return Predictions(_by_group(predictions.logits, groups), _by_group(predictions.boxes, groups))


def _by_group(x: Float[Tensor, "S _BG N _c"], groups: int) -> Float[Tensor, "_SG B N _c"]:
    return x.unflatten(1, (-1, groups)).transpose(1, 2).flatten(0, 1)
