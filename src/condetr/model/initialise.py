"""Random initialisation, as in the official code (both `_reset_parameters`, and Conditional DETR's heads).

All matrices of the transformer are Xavier-uniform; DETR's attention initialises query, key and value as one matrix of
three times the rows, hence a smaller bound. Biases keep torch's default, the same in all layers; some of attention are
zero.
"""

import math

import torch
from torch import Tensor, nn

from ..scoring import PRIOR
from ..shapes import Float
from .attention import (
    AdditiveAttention,
    ConditionalCrossAttention,
    DecoupledSelfAttention,
    MultiScaleCrossAttention,
)
from .box_bias import AxialBoxBias
from .decoders import ConditionalDecoder
from .detector import Detector, Heads
from .refining import RefiningDecoder, SizeModulation

SHARPNESS = 2.2  # of a local start: at width 128, 70 % of a head's attention lies within a fifth of the image
DECAY = 2.0  # of a local start: attention half a side beyond a box is 1 / e of that inside
SIDES = ((0.08, 0.0), (-0.08, 0.0), (0.0, 0.08), (0.0, -0.08))  # where the heads attend, in turn: (x, y)
CENTRE = (0.0, 0.0)
OFFSETS = (CENTRE, CENTRE, *SIDES)


def initialise_transformer(detector: Detector) -> None:
    """Encoder, reference and decoder."""
    for part in (detector.encoder, detector.reference, detector.decoder):
        for name, parameter in part.named_parameters():
            if parameter.dim() > 1 and name not in ("point", "box"):  # learned references are 2-D but no matrix
                nn.init.xavier_uniform_(parameter)
        for module in part.modules():
            if isinstance(module, AdditiveAttention):
                for projection in (module.query, module.key, module.value):
                    nn.init.xavier_uniform_(projection.weight, gain=0.5**0.5)
                    nn.init.zeros_(projection.bias)
            if isinstance(module, AdditiveAttention | DecoupledSelfAttention | ConditionalCrossAttention):
                nn.init.zeros_(module.out.bias)


def initialise_locally(decoder: ConditionalDecoder | RefiningDecoder) -> None:
    """Our own initialisation: each head attends to its query's reference point, or close to it.

    With the published initialisation, p_q and p_k pass two independent random projections, and attention is uniform:
    the model must first learn that nearness matters, which takes most of the training on a few hundred images. Here
    both projections select the highest frequencies of the embedding, so that p_q.p_k is a sum of cos(w d) over the
    distance d of two points; T is the identity. All of it is trained as usual. Where heads attend at two scales, those
    of the finer one start beside the reference point.
    """
    for layer in decoder.layers:
        match layer.cross_attention:
            case ConditionalCrossAttention() as attention:
                _attend_near(attention, OFFSETS)
            case MultiScaleCrossAttention() as attention:
                _attend_near(attention.coarse, (CENTRE,))
                _attend_near(attention.fine, SIDES)
    decoder.spatial_query.start_as_identity()


@torch.no_grad()
def _attend_near(attention: ConditionalCrossAttention, offsets: tuple[tuple[float, float], ...]) -> None:
    """Each head attends to the reference point, moved by one of the offsets, in turn."""
    dim, heads = attention.key_spatial.in_features, attention.heads
    size = attention.key_spatial.out_features // heads
    attention.key_spatial.weight.copy_(torch.cat([frequency_projection(dim, size, CENTRE)] * heads))
    queries = [frequency_projection(dim, size, offsets[head % len(offsets)]) for head in range(heads)]
    attention.query_spatial.weight.copy_(torch.cat(queries))
    nn.init.zeros_(attention.key_spatial.bias)
    nn.init.zeros_(attention.query_spatial.bias)


def initialise_boxes(decoder: RefiningDecoder, local: bool) -> None:
    """What a refining decoder adds to Conditional DETR's. The MLPs of its box biases add nothing at first; with a local
    start, attention decreases with the distance from the box."""
    if local:
        initialise_locally(decoder)
    for part in (decoder.modulation, *decoder.box_biases.modules()):
        match part:
            case SizeModulation():
                part.start()
            case AxialBoxBias():
                part.start(decay=DECAY if local else 0.0)


def frequency_projection(dim: int, size: int, offset: tuple[float, float]) -> Float[Tensor, "E D"]:
    """One head's projection: it selects the highest frequencies of a point's embedding and moves the point by `offset`.

    The E = `size` channels of a head hold E / 4 frequencies for x and y, sine and cosine. `offset` is (x, y), relative
    to the image.
    """
    frequencies = size // 4
    weight = torch.zeros(size, dim)
    for axis, shift in enumerate(reversed(offset)):  # the embedding has y first
        for i in range(frequencies):
            phase = 2 * math.pi * shift / 10000 ** (2 * i / (dim // 2))
            row, column = 2 * (axis * frequencies + i), axis * dim // 2 + 2 * i
            weight[row, column : column + 2] = torch.tensor([math.cos(phase), math.sin(phase)])
            weight[row + 1, column : column + 2] = torch.tensor([-math.sin(phase), math.cos(phase)])
    return SHARPNESS * weight


def initialise_conditional_heads(heads: Heads) -> None:
    """Conditional DETR's: class scores start at 0.01, boxes at the reference point with half the sides of the image."""
    nn.init.constant_(heads.classes.bias, PRIOR)
    for parameter in heads.box[-1].parameters():
        nn.init.zeros_(parameter)
