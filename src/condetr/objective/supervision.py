"""How the predictions of a set of queries are compared with the objects: one query for each object, or several.

The queries of an image may be in G groups, one after another. Each group is compared with all objects, and the loss is
the mean over the groups.
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
        """The loss of decoded queries; embeddings are S B (G·N) D."""


class OneToOne(Supervision):
    """Each object is learned by one query, all others are background: the set loss of both papers."""

    def __init__(self, loss: SetLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(
        self, detector: Detector, decoded: Decoded, groups: int, targets: Sequence[Target], step: OptimizerStep
    ) -> LossTerms:
        return self.of_predictions(predictions_of(detector, decoded, groups), groups, targets, step)

    def of_predictions(
        self, predictions: Predictions, groups: int, targets: Sequence[Target], step: OptimizerStep
    ) -> LossTerms:
        """Predictions are (S·G) B N."""
        return self.loss(predictions, targets, step).mean_over(groups)


def predictions_of(detector: Detector, decoded: Decoded, groups: int) -> Predictions:
    """What the detector predicts from each group of queries, (S·G) B N, as if it were the detector's own."""
    predictions = detector.heads(decoded.embeddings, decoded.references)
    logits = detector.query_bias(by_group(predictions.logits, groups))
    return Predictions(logits, by_group(predictions.boxes, groups))


def by_group(x: Float[Tensor, "S B _GN _c"], groups: int) -> Float[Tensor, "_SG B N _c"]:
    """From S B (G·N) to (S·G) B N, so that the groups of a layer are adjacent and are matched as layers are."""
    return x.unflatten(2, (groups, -1)).transpose(1, 2).flatten(0, 1)
