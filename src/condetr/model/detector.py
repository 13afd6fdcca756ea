"""The detector: images become tokens, object queries attend to them, and heads predict a class and a box per query."""

import torch
from torch import Tensor, nn

from ..cpu.linear import Linear
from ..shapes import Float
from ..types import ComputedImages, Images, Predictions
from .backbone import Backbone, CellPadding, Features
from .box_offsets import BoxOffsets
from .decoders import Decoded, Decoder
from .encoder import Encoder
from .groups import Groups
from .keys import Keys
from .layers import MLP
from .query_bias import QueryBias
from .reference import Reference
from .tokens import Cells, Tokens

BY_QUERY = ("queries.weight", "reference.point", "reference.box", "query_bias.value")  # weights with a row per query


class Heads(nn.Module):
    """Class logits, and boxes as offsets from the references. One pair of heads serves all decoder layers."""

    def __init__(self, dim: int, logits: int, offsets: BoxOffsets) -> None:
        super().__init__()
        self.offsets = offsets
        self.classes, self.box = Linear(dim, logits), MLP(dim, dim, 4, layers=3)

    def refine(self, embeddings: Float[Tensor, "B N D"], references: Float[Tensor, "B N 4"]) -> Float[Tensor, "B N 4"]:
        """The logits of the boxes that are predicted from references (logits)."""
        return self.offsets.logits(self.box(embeddings), references)

    def forward(self, embeddings: Float[Tensor, "S B N D"], references: Float[Tensor, "S B N R"]) -> Predictions:
        """`references` are logits of points (R = 2) or boxes (R = 4), as in `Decoded`."""
        boxes = self.offsets.boxes(self.box(embeddings), references)
        return Predictions(logits=self.classes(embeddings), boxes=boxes)


class Detector(nn.Module):
    """All weights of a model. A `Learner` trains it, a `Runtime` executes it."""

    def __init__(
        self,
        backbone: Backbone,
        project: nn.Conv2d,
        encoder: Encoder,
        queries: nn.Embedding,
        reference: Reference,
        decoder: Decoder,
        heads: Heads,
        keys: Keys,
        query_bias: QueryBias,
    ) -> None:
        super().__init__()
        self.backbone, self.project, self.encoder, self.keys = backbone, project, encoder, keys
        self.queries, self.reference, self.decoder, self.heads = queries, reference, decoder, heads
        self.query_bias = query_bias

    def forward(self, images: Images) -> Predictions:
        """The predictions of all S decoder layers, the last layer last."""
        return self.apply_heads(self.decode(self.object_queries(images), self.encode(images)))

    def predict(self, images: Images) -> Predictions:
        """The predictions of the last decoder layer (S = 1): all that is needed of a trained detector."""
        return self.apply_heads(self.decode(self.object_queries(images), self.encode(images)).last_layer())

    def encode(self, images: Images) -> Tokens:
        """The tokens to which the decoder attends: the encoder's output, at half its stride where `keys` fuses it."""
        features, padding, *finer = self.features(images)
        return self.keys(self.encoder(self._tokens(images, features, padding)), *finer)

    def decode(
        self,
        queries: Float[Tensor, "B N D"],
        memory: Tokens,
        reference: Float[Tensor, "B N R"] | None = None,
        groups: Groups | None = None,
    ) -> Decoded:
        """Decode any queries, from references (logits), by default those that the detector has for these queries.

        Queries see only those of their own group; without `groups`, all of their image.
        """
        reference = self.reference(queries) if reference is None else reference
        return self.decoder(queries, reference, memory, groups, self.heads.refine)

    def apply_heads(self, decoded: Decoded) -> Predictions:
        """The predictions of the detector's own queries, from embeddings and references."""
        predictions = self.heads(decoded.embeddings, decoded.references)
        return Predictions(self.query_bias(predictions.logits), predictions.boxes)

    def object_queries(self, images: Images) -> Float[Tensor, "B N D"]:
        """The detector's own queries, the same for each image."""
        return self.queries.weight.expand(images.pixels.shape[0], -1, -1)

    def tokens(self, images: Images) -> Tokens:
        """One token for each cell of the backbone's features."""
        return self._tokens(images, *self.features(images)[:2])

    def features(self, images: Images) -> tuple[Tensor, ...]:
        """What the backbone returns for the images."""
        return images.features if isinstance(images, ComputedImages) else self.backbone(images)

    def _tokens(self, images: Images, features: Features, padding: CellPadding) -> Tokens:
        features = self.project(features)
        cells = Cells(self.backbone.stride, images.sizes.to(torch.float32))
        return Tokens.of_cells(features, padding, features.shape[1], images.ragged, cells)
