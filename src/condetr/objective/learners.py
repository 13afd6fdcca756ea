"""A learner takes images and targets and returns losses: the detector, and the queries that learn with it.

The training loop calls `learner(images, targets, step)` and nothing else. The trained detector has no reference to its
learner: an idea for training (more queries, noised boxes, another supervision) is a class of this folder.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..model.decoders import Decoded
from ..model.detector import Detector
from ..model.groups import EqualGroups
from ..shapes import Float
from ..types import Images, OptimizerStep, Target
from .set_loss import LossTerms
from .supervision import Supervision


@dataclass(frozen=True, slots=True)
class QuerySet:
    """Queries of B images, the reference (logits) that each starts from, and their groups: N is `groups.queries`.

    `loss` computes the share of these images in the loss of an optimizer step, from what the decoder returns.
    """

    queries: Float[Tensor, "B N D"]
    reference: Float[Tensor, "B N R"]
    groups: EqualGroups
    loss: Callable[[Decoded], LossTerms]


class TrainingQueries(nn.Module, ABC):
    """Queries that are decoded and supervised in training: the detector's own, or others beside them."""

    @abstractmethod
    def forward(self, detector: Detector, targets: Sequence[Target], step: OptimizerStep) -> QuerySet:
        """The queries that learn from these images, and their loss.

        `targets` has one entry for each image. `step` describes the whole optimizer step, of which these images may be
        a part; the shares of a step add up to its loss.
        """


class DetectorQueries(TrainingQueries):
    """The detector's own queries: with one-to-one supervision, the training of both papers."""

    def __init__(self, supervision: Supervision) -> None:
        super().__init__()
        self.supervision = supervision

    def forward(self, detector: Detector, targets: Sequence[Target], step: OptimizerStep) -> QuerySet:
        queries = detector.queries.weight.expand(len(targets), -1, -1)
        return QuerySet(
            queries, detector.reference(queries), EqualGroups(1, queries.shape[1]),
            lambda decoded: self.supervision(detector, decoded, 1, targets, step),
        )  # fmt: skip


class Learner(nn.Module):
    """A detector as `detector`, and what learns with it as `parts`. The images are encoded, and the queries of all
    parts decoded, at once.

    The parameters of the parts are trained with the detector's, but not saved with its weights.
    """

    def __init__(self, detector: Detector, parts: Sequence[TrainingQueries]) -> None:
        super().__init__()
        self.detector, self.parts = detector, nn.ModuleList(parts)

    def forward(self, images: Images, targets: Sequence[Target], step: OptimizerStep) -> LossTerms:
        """The sum of the losses of the parts: the share of these images in the loss of an optimizer step."""
        memory = self.detector.encode(images)
        sets: list[QuerySet] = [part(self.detector, targets, step) for part in self.parts]
        queries, reference = _joined([own.queries for own in sets]), _joined([own.reference for own in sets])
        decoded = self.detector.decode(queries, memory, reference, tuple(own.groups for own in sets))
        parts = decoded.split([own.groups.queries for own in sets])
        first, *others = (own.loss(part) for own, part in zip(sets, parts))
        return sum(others, start=first)


def _joined(parts: list[Float[Tensor, "B _N _c"]]) -> Float[Tensor, "B N _c"]:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
