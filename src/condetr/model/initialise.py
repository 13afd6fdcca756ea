"""How weights start, as the official code draws them (facts: both `_reset_parameters`, and Conditional DETR's heads).

Every matrix of the transformer is Xavier-uniform; DETR's attention draws query, key and value as one matrix of three
times the rows, hence a smaller bound. Biases keep torch's default, the same in every layer, but attention's own zero.
"""

from torch import nn

from ..scoring import PRIOR
from .attention import AdditiveAttention, ConditionalCrossAttention, DecoupledSelfAttention
from .detector import Detector, Heads


def initialise_transformer(detector: Detector) -> None:
    """Encoder, reference and decoder."""
    for part in (detector.encoder, detector.reference, detector.decoder):
        for name, parameter in part.named_parameters():
            if parameter.dim() > 1 and name != "point":  # a learned reference point is no matrix
                nn.init.xavier_uniform_(parameter)
        for module in part.modules():
            if isinstance(module, AdditiveAttention):
                for projection in (module.query, module.key, module.value):
                    nn.init.xavier_uniform_(projection.weight, gain=0.5**0.5)
                    nn.init.zeros_(projection.bias)
            if isinstance(module, AdditiveAttention | DecoupledSelfAttention | ConditionalCrossAttention):
                nn.init.zeros_(module.out.bias)


def initialise_conditional_heads(heads: Heads) -> None:
    """Conditional DETR's: every class starts rare, every box at its reference point with half the picture's sides."""
    nn.init.constant_(heads.classes.bias, PRIOR)
    for parameter in heads.box[-1].parameters():
        nn.init.zeros_(parameter)
