"""How the four outputs of the box head move a reference: in logits, as published, or in units of the reference box."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from ..shapes import Float
from .layers import at_least_float32

LARGEST_LOGIT = 11.512925  # of 1 - 1e-5: references closer to 0 or 1 are clamped (official code, inverse_sigmoid)

Offsets = Float[Tensor, "*any 4"]
References = Float[Tensor, "*any R"]  # logits of points (x, y) or of boxes (cx, cy, w, h)


class BoxOffsets(ABC):
    @abstractmethod
    def boxes(self, offsets: Offsets, references: References) -> Offsets:
        """The predicted boxes, cxcywh, in float32 at least."""

    @abstractmethod
    def logits(self, offsets: Offsets, references: References) -> Offsets:
        """The logits of the predicted boxes: the references of a next layer."""


class LogitOffsets(BoxOffsets):
    """box = sigmoid(offset + s), where s of a reference point is [s_x, s_y, 0, 0] (Conditional DETR, eq. 1)."""

    def boxes(self, offsets: Offsets, references: References) -> Offsets:
        return self.logits(offsets, references).sigmoid()

    def logits(self, offsets: Offsets, references: References) -> Offsets:
        s = at_least_float32(references).clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
        return at_least_float32(offsets) + F.pad(s, (0, 4 - s.shape[-1]))


class RelativeOffsets(BoxOffsets):
    """centre = c + offset · size, size = size · exp(offset): the same offset means the same for boxes of all sizes.

    LW-DETR (Chen et al. 2024), section 3.3, as in Faster R-CNN. Needs references with sizes.
    """

    LARGEST = 4.0  # an offset of a size

    def boxes(self, offsets: Offsets, references: References) -> Offsets:
        centre, size = at_least_float32(references).sigmoid().split(2, dim=-1)
        move, scale = at_least_float32(offsets).split(2, dim=-1)
        return torch.cat([centre + move * size, size * scale.clamp(max=self.LARGEST).exp()], dim=-1)

    def logits(self, offsets: Offsets, references: References) -> Offsets:
        return self.boxes(offsets, references).logit(eps=1e-5)
