"""A learner takes images and targets and returns losses: the detector, its loss, and whatever only training adds.

The training loop calls `learner(images, targets, step)` and nothing else. The trained detector does not know
of its learner, so that an idea for training (more queries, noised boxes, another supervision) is a class here.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import nn

from ..model.detector import Detector
from ..types import Images, OptimizerStep, Target
from .set_loss import LossTerms, SetLoss


class Learner(nn.Module, ABC):
    """Holds the detector as `detector`. Other parameters are trained with it, but not saved with its weights."""

    def __init__(self, detector: Detector, loss: SetLoss) -> None:
        super().__init__()
        self.detector, self.loss = detector, loss

    @abstractmethod
    def forward(self, images: Images, targets: Sequence[Target], step: OptimizerStep) -> LossTerms:
        """The share of these B images in the loss of an optimizer step.

        `targets` has one entry for each image. `step` describes the whole step, of which these images may be a part;
        the shares of a step add up to its loss.
        """


class PlainLearner(Learner):
    """The set loss of the detector's predictions: both papers."""

    def forward(self, images: Images, targets: Sequence[Target], step: OptimizerStep) -> LossTerms:
        return self.loss(self.detector(images), targets, step)
