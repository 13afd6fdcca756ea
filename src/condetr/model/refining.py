"""The refining decoder: every layer refines the box of each query, and the conditional spatial query starts from it.

Conditional DETR's layers with the queries of DAB-DETR (Liu et al. 2022): an object query is computed from the box that
enters a layer, and each layer moves the box. Legend as in `decoders`; s: logits of a box.
"""

from abc import ABC, abstractmethod
from itertools import chain, repeat

import torch
from torch import Tensor, nn

from ..shapes import Float
from .box_bias import BoxBias
from .decoders import CrossAttention, Decoded, Decoder, Queries, Refine, conditional_layers
from .groups import Groups
from .layers import MLP, at_least_float32, embed_boxes
from .spatial_query import Identity, SpatialQuery
from .tokens import Tokens

SMALLEST = 1e-3  # side of a box, relative to the image, in the modulation


class Modulation(nn.Module, ABC):
    @abstractmethod
    def forward(self, f: Queries, p: Queries, boxes: Float[Tensor, "B N 4"]) -> Queries:
        """The embedded reference point p, [y; x], scaled for the size of a box."""


class NoModulation(Modulation):
    """The spatial query does not depend on the size of the box, as in Conditional DETR."""

    def forward(self, f: Queries, p: Queries, boxes: Float[Tensor, "B N 4"]) -> Queries:
        return p


class SizeModulation(Modulation):
    """DAB-DETR, section 4.4: the half of y times h_f / h and that of x times w_f / w, with (w_f, h_f) predicted from f.

    The spatial attention of a wide box is then wide. It starts as that of boxes of `START` of the image.
    """

    START = 0.2

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.size = MLP(dim, dim, 2, layers=2)

    def forward(self, f: Queries, p: Queries, boxes: Float[Tensor, "B N 4"]) -> Queries:
        ratio = at_least_float32(self.size(f)).sigmoid() / boxes[..., 2:].clamp(min=SMALLEST)  # of w and h
        return (p.unflatten(-1, (2, -1)) * ratio.flip(-1)[..., None].to(p.dtype)).flatten(-2)

    def start(self) -> None:
        """Initialise so that all boxes have the same modulation."""
        self.size.start_with(torch.tensor(self.START).logit())


class RefiningDecoder(Decoder):
    """`queries` are the embeddings f of the first layer, `reference` are logits of boxes.

    Look forward twice (Zhang et al., DINO, 2022): the box that a layer refines has no gradient, but the prediction of
    this layer is an offset from the same box with the gradient of the layer before, so that each layer's loss trains
    two layers.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        hidden: int,
        layers: int,
        dropout: float,
        spatial_query: SpatialQuery,
        modulation: Modulation,
        box_biases: list[BoxBias],
        cross_attention: CrossAttention,
    ) -> None:
        super().__init__()
        self.layers = conditional_layers(dim, heads, hidden, layers, dropout, cross_attention)
        self.spatial_query = spatial_query  # shared by all layers but the first
        self.norm = nn.LayerNorm(dim)
        self.object_query = MLP(2 * dim, dim, dim, layers=2)
        self.modulation, self.box_biases = modulation, nn.ModuleList(box_biases)

    def forward(
        self, queries: Queries, reference: Float[Tensor, "B N 4"], memory: Tokens, groups: Groups | None, refine: Refine
    ) -> Decoded:
        f, s, dim = queries, reference, queries.shape[-1]
        embeddings: list[Tensor] = []
        references = [reference]
        spatial_queries = chain([Identity()], repeat(self.spatial_query))
        for layer, box_bias, spatial_query in zip(self.layers, self.box_biases, spatial_queries):
            if embeddings:
                references.append(refine(embeddings[-1], s))
                s = references[-1].detach()
            boxes = at_least_float32(s).sigmoid()
            embedded = embed_boxes(boxes, dim).to(f.dtype)
            p = self.modulation(f, embedded[..., :dim], boxes)
            f = layer(f, p, spatial_query, self.object_query(embedded), memory, groups, box_bias(boxes, memory))
            embeddings.append(self.norm(f))
        return Decoded(torch.stack(embeddings), torch.stack(references))
