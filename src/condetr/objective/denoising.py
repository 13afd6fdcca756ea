"""Contrastive denoising: further queries start from noised boxes of objects, and learn these objects without matching.

Li et al., "DN-DETR", CVPR 2022; Zhang et al., "DINO", ICLR 2023, section 3.3. M is the most objects of an image of the
batch, and there are G groups of 2 M queries (of M without negative ones) for each image:

groups of an image    see neither each other nor the detector's queries
queries of a group    positive 1 ... M, negative 1 ... M; an image with fewer objects gets padding queries

A positive query starts from a box near its object, and learns the object. A negative one starts from a box that is
further away, and learns that it is background, so that not every query next to an object predicts it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from ..model.decoders import Decoded
from ..model.detector import Detector
from ..model.groups import EqualGroups
from ..scoring import Scoring
from ..shapes import Bool, Float, Int
from ..types import OptimizerStep, Predictions, Target
from .learners import QuerySet, TrainingQueries
from .matching import Matches, PaddedTargets
from .set_loss import LossTerms, loss_of_matches

CONTRASTIVE, POSITIVE = (0.0, 1.0), (0.0,)  # least noise of the kinds of queries; the first kind is positive
OTHER_LABEL = 0.25  # probability that a query's label is replaced by a random one
SMALLEST = 1e-3  # side of a box, and distance of its centre from the edge of the image, relative to the image
BACKGROUND = -torch.inf  # logit of padding queries: their loss and gradient are zero


class DenoisingQueries(TrainingQueries):
    """About `budget` denoising queries for each image. A query starts with the embedding of its label.

    Needs a decoder that starts from boxes, and a scoring with a sigmoid for each of the K `classes`. `kinds` is
    `CONTRASTIVE`, or `POSITIVE` for positive queries only.
    """

    def __init__(self, scoring: Scoring, classes: int, dim: int, budget: int, kinds: tuple[float, ...]) -> None:
        super().__init__()
        self.scoring, self.budget, self.kinds = scoring, budget, kinds
        self.labels = nn.Embedding(classes, dim)

    def forward(self, detector: Detector, targets: Sequence[Target], step: OptimizerStep) -> QuerySet:
        """The loss is the mean over the groups; the whole step has the same number of groups."""
        padded, kinds = PaddedTargets.of(targets, at_least=1), len(self.kinds)
        count = groups_of(self.budget, kinds, step)
        noised = add_noise(padded, count, self.kinds, self.labels.num_embeddings)
        groups = EqualGroups(count, kinds * padded.labels.shape[1], valid_queries(padded, count, kinds))

        def loss(decoded: Decoded) -> LossTerms:
            predictions = detector.heads(decoded.embeddings, decoded.references)
            if groups.valid is not None:
                padding = ~groups.valid.view(len(targets), -1, 1)
                predictions = Predictions(predictions.logits.masked_fill(padding, BACKGROUND), predictions.boxes)
            matches = known_matches(padded, count, kinds, len(predictions.logits))
            terms = loss_of_matches(self.scoring, predictions, matches, padded, step)
            return LossTerms(*(term / count for term in terms.values()))

        return QuerySet(self.labels(noised.labels), noised.boxes.logit(eps=SMALLEST), groups, loss)


@dataclass(frozen=True, slots=True)
class Noised:
    """The labels and boxes that the queries of B images start with: N = G · kinds · M."""

    labels: Int[Tensor, "B N"]
    boxes: Float[Tensor, "B N 4"]


def groups_of(budget: int, kinds: int, step: OptimizerStep) -> int:
    """G, such that the image of the step with the most objects has about `budget` queries; at least one group."""
    return max(1, budget // (kinds * max(1, *step.object_counts.counts)))


def add_noise(targets: PaddedTargets, groups: int, kinds: tuple[float, ...], classes: int) -> Noised:
    """Each corner coordinate of a box moves by u · w / 2 or u · h / 2, in either direction. u is uniform in (0, 1) for
    positive queries and in (1, 2) for negative ones: in (a, a + 1) for a of `kinds`. Corners stay within the image and
    in order."""
    images, objects = targets.labels.shape
    shape = (images, groups, len(kinds), objects)
    labels = targets.labels[:, None, None].expand(shape)
    random = torch.rand(*shape, 5, device=labels.device)
    other = torch.randint(classes, shape, device=labels.device)
    labels = torch.where(random[..., 4] < OTHER_LABEL, other, labels)
    move = 2 * random[..., :4] - 1
    move += torch.tensor(kinds).to(move)[:, None, None].copysign(move)
    half = targets.boxes[:, None, None, :, 2:].repeat(1, 1, 1, 1, 2) / 2
    corners = (cxcywh_to_xyxy(targets.boxes)[:, None, None] + move * half).clamp(0, 1)
    a, b = corners.split(2, dim=-1)
    boxes = xyxy_to_cxcywh(torch.cat([torch.minimum(a, b), torch.maximum(a, b)], dim=-1))
    return Noised(labels.reshape(images, -1), boxes.reshape(images, -1, 4))


def valid_queries(targets: PaddedTargets, groups: int, kinds: int) -> Bool[Tensor, "BG N"] | None:
    """False for padding queries; None where there are none."""
    objects = targets.labels.shape[1]
    if min(targets.counts) == objects:
        return None
    counts = torch.tensor(targets.counts).repeat_interleave(groups)
    valid = torch.arange(objects) < counts[:, None]
    return valid.repeat(1, kinds).to(targets.labels.device, non_blocking=True)


def known_matches(targets: PaddedTargets, groups: int, kinds: int, layers: int) -> Matches:
    """Each positive query with the object that it was made from, in predictions S B (G·N)."""
    objects = targets.labels.shape[1]
    valid = np.arange(objects) < np.array(targets.counts)[:, None]
    pairs = np.broadcast_to(valid[None, :, None], (layers, len(valid), groups, objects))
    layer, image, group, object = np.nonzero(pairs)
    index = torch.from_numpy(np.stack([layer, image, group * kinds * objects + object, object]))
    return Matches(*index.to(targets.labels.device, non_blocking=True))
