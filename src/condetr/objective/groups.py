"""More to learn from each image: several groups of queries, of which the trained detector keeps the first.

Chen et al., "Group DETR: Fast DETR Training with Group-Wise One-to-Many Assignment", ICCV 2023, section 3. Every group
is matched with the objects on its own and does not see the others, so that no query learns to leave an object to one
of another group; all share every weight but the queries themselves. On Conditional DETR the paper gains 5 AP at 12
epochs.
"""

import torch
from torch import nn

from ..model.detector import Detector
from ..types import Images, Predictions


class GroupedDetector(nn.Module):
    """A detector with `groups - 1` further sets of queries. Its answer has a layer for each group of each layer."""

    def __init__(self, detector: Detector, groups: int) -> None:
        super().__init__()
        self.detector, self.groups = detector, groups
        self.more = nn.Embedding((groups - 1) * detector.queries.num_embeddings, detector.queries.embedding_dim)

    def forward(self, images: Images) -> Predictions:
        """Logits (S·G B N C) and boxes (S·G B N 4): the groups of a layer lie together, the detector's own first.

        Groups are the images of a larger batch when queries look at each other, and share one when they look at it.
        """
        detector, size = self.detector, len(images)
        memory = detector.encoder(detector.tokens(images))
        queries = torch.cat([detector.queries.weight, self.more.weight]).unflatten(0, (self.groups, -1))
        found = detector.ask(queries.repeat(size, 1, 1), memory)
        parts = (part.unflatten(1, (size, self.groups)) for part in (found.logits, found.boxes))
        return Predictions(*(part.transpose(1, 2).flatten(0, 1) for part in parts))
