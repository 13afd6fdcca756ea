"""Group DETR: several groups of object queries learn from each image, and the trained detector keeps the first.

Chen et al., "Group DETR: Fast DETR Training with Group-Wise One-to-Many Assignment", ICCV 2023, section 3. Each group
is matched with the objects separately, and queries attend only to queries of their own group. All groups share every
weight but the queries themselves. On Conditional DETR the paper gains 5 AP at 12 epochs.
"""

from collections.abc import Sequence

import torch
from torch import nn

from ..model.decoders import Decoded
from ..model.detector import Detector
from ..model.reference import Anchors
from ..model.tokens import Tokens
from ..types import OptimizerStep, Target
from .learners import TrainingQueries
from .set_loss import LossTerms
from .supervision import Supervision


class GroupedQueries(TrainingQueries):
    """The detector's queries and `groups - 1` further groups of the same size; the loss is the mean of the groups'
    losses."""

    def __init__(self, detector: Detector, supervision: Supervision, groups: int) -> None:
        super().__init__()
        queries, dim = detector.queries.weight.shape
        self.supervision, self.groups = supervision, groups
        self.extra_queries = nn.Embedding((groups - 1) * queries, dim)
        self.extra_anchors: nn.Parameter | None = None
        if isinstance(detector.reference, Anchors):  # the queries are then embeddings, which start at zero
            nn.init.zeros_(self.extra_queries.weight)
            self.extra_anchors = nn.Parameter(detector.reference.further(groups - 1))

    def forward(self, detector: Detector, memory: Tokens, targets: Sequence[Target], step: OptimizerStep) -> LossTerms:
        return self.supervision(detector, self.decode(detector, memory), self.groups, targets, step)

    def decode(self, detector: Detector, memory: Tokens) -> Decoded:
        """Embeddings S (B·G) N D: the G groups of an image follow one another, the detector's own first.

        The groups lie in the batch axis, so that self-attention keeps them apart. In the cross-attention the groups of
        an image share its tokens.
        """
        size = len(memory.content)
        queries = torch.cat([detector.queries.weight, self.extra_queries.weight]).unflatten(0, (self.groups, -1))
        anchors = None
        if self.extra_anchors is not None and isinstance(detector.reference, Anchors):
            anchors = torch.cat([detector.reference.box, self.extra_anchors]).unflatten(0, (self.groups, -1))
            anchors = anchors.repeat(size, 1, 1)
        return detector.decode(queries.repeat(size, 1, 1), memory, anchors)
