"""A learner takes images and targets and returns losses: the detector, and the queries that learn with it.

The training loop calls `learner(images, targets, step)` and nothing else. The trained detector has no reference to its
learner: an idea for training (more queries, noised boxes, another supervision) is a class of this folder.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import nn

from ..model.detector import Detector
from ..model.tokens import Tokens
from ..types import Images, OptimizerStep, Target
from .set_loss import LossTerms
from .supervision import Supervision


class TrainingQueries(nn.Module, ABC):
    """Queries that are decoded and supervised in training: the detector's own, or others beside them."""

    @abstractmethod
    def forward(self, detector: Detector, memory: Tokens, targets: Sequence[Target], step: OptimizerStep) -> LossTerms:
        """The share of these B images in the loss of an optimizer step.

        `memory` is what the detector's encoder returns for the images, and `targets` has one entry for each of them.
        `step` describes the whole step, of which these images may be a part; the shares of a step add up to its loss.
        """


class DetectorQueries(TrainingQueries):
    """The detector's own queries: with one-to-one supervision, the training of both papers."""

    def __init__(self, supervision: Supervision) -> None:
        super().__init__()
        self.supervision = supervision

    def forward(self, detector: Detector, memory: Tokens, targets: Sequence[Target], step: OptimizerStep) -> LossTerms:
        queries = detector.queries.weight.expand(len(memory.content), -1, -1)
        return self.supervision(detector, detector.decode(queries, memory), 1, targets, step)


class Learner(nn.Module):
    """A detector as `detector`, and what learns with it as `parts`. The images are encoded once for all parts.

    The parameters of the parts are trained with the detector's, but not saved with its weights.
    """

    def __init__(self, detector: Detector, parts: Sequence[TrainingQueries]) -> None:
        super().__init__()
        self.detector, self.parts = detector, nn.ModuleList(parts)

    def forward(self, images: Images, targets: Sequence[Target], step: OptimizerStep) -> LossTerms:
        """The sum of the losses of the parts: the share of these images in the loss of an optimizer step."""
        memory = self.detector.encode(images)
        first, *others = (part(self.detector, memory, targets, step) for part in self.parts)
        return sum(others, start=first)
