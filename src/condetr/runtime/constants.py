"""Finds the parts of a conditional decoder whose output is the same for every image, and computes them once.

The object queries are the same for every image. So is what they add to queries and keys of each self-attention and,
because the first layer starts with an embedding of zero, the whole self-attention of that layer.
"""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..model.attention import ConditionalCrossAttention
from ..model.decoders import ConditionalDecoder, ConditionalLayer, Decoder
from ..shapes import Float


class Constant(nn.Module):
    """Replaces a module whose inputs are the same for every image, and returns its precomputed output."""

    value: Tensor

    def __init__(self, value: Float[Tensor, "1 N D"]) -> None:
        super().__init__()
        self.register_buffer("value", value)

    def forward(self, x: Float[Tensor, "B N _D"], *others: Any) -> Float[Tensor, "B N D"]:
        return self.value.expand(x.shape[0], -1, -1)


@torch.no_grad()
def constants(decoder: Decoder, object_query: Float[Tensor, "1 N D"], precision: torch.dtype) -> dict[int, nn.Module]:
    """Replacements of the decoder's modules that have constant inputs in evaluation mode, by the modules' ids."""
    if type(decoder) is not ConditionalDecoder:  # in other decoders, the inputs may depend on the image
        return {}
    first, *later = cast(Iterable[ConditionalLayer], decoder.layers)
    outputs: dict[nn.Module, Tensor] = {}
    outputs[first.self_attention] = first.self_attention(torch.zeros_like(object_query), object_query, None)
    for part in first.cross_attention.modules():
        if isinstance(part, ConditionalCrossAttention) and part.query_object is not None:
            outputs[part.query_object] = part.query_object(object_query)
    for layer in later:
        for linear in (layer.self_attention.query_position, layer.self_attention.key_position):
            outputs[linear] = linear(object_query)
    return {id(module): Constant(output.to(precision)) for module, output in outputs.items()}
