"""The detector: an image becomes tokens, queries look at them, heads say what and where."""

from torch import Tensor, nn
from torch.nn import functional as F

from ..cpu.kernels import Linear
from ..shapes import Float
from ..types import Images, Predictions
from .layers import MLP, embed_grid
from .tokens import Tokens

FURTHEST = 11.512925  # the logit of 1 - 1e-5: no reference point is nearer to the border (official inverse_sigmoid)


class Heads(nn.Module):
    """Class logits, and a box as an offset from the reference point; one pair of heads for all layers."""

    def __init__(self, dim: int, logits: int) -> None:
        super().__init__()
        self.classes, self.box = Linear(dim, logits), MLP(dim, dim, 4, layers=3)

    def forward(self, embeddings: Float[Tensor, "S B N D"], reference: Float[Tensor, "B N 2"]) -> Predictions:
        """box = sigmoid(FFN(f) + [s, 0, 0]) (Conditional DETR, eq. 1)."""
        offset = F.pad(reference.float().clamp(-FURTHEST, FURTHEST), (0, 2))
        return Predictions(logits=self.classes(embeddings), boxes=(self.box(embeddings).float() + offset).sigmoid())


class Detector(nn.Module):
    def __init__(
        self,
        backbone: nn.Module,
        project: nn.Conv2d,
        encoder: nn.Module,
        queries: nn.Embedding,
        reference: nn.Module,
        decoder: nn.Module,
        heads: Heads,
    ) -> None:
        super().__init__()
        self.backbone, self.project, self.encoder = backbone, project, encoder
        self.queries, self.reference, self.decoder, self.heads = queries, reference, decoder, heads

    def forward(self, images: Images) -> Predictions:
        """What every layer says, the last one last."""
        return self._look(images, supervised=slice(None))

    def predict(self, images: Images) -> Predictions:
        """What the last layer says, alone: all that is needed of a trained detector."""
        return self._look(images, supervised=slice(-1, None))

    def _look(self, images: Images, supervised: slice) -> Predictions:
        memory = self.encoder(self.tokens(images))
        return self.ask(self.queries.weight.expand(len(images), -1, -1), memory, supervised)

    def ask(self, object_query: Float[Tensor, "B N D"], memory: Tokens, supervised: slice = slice(None)) -> Predictions:
        """What these queries find in the encoded images."""
        reference = self.reference(object_query)
        embeddings = self.decoder(object_query, reference, memory)
        return self.heads(embeddings[supervised], reference)

    def tokens(self, images: Images) -> Tokens:
        """One token for each cell of the backbone's last features."""
        features, padding = self.backbone(images)
        features = self.project(features)
        position = embed_grid(padding, features.shape[1]).to(features.dtype)
        rows, columns = features.shape[2:]
        return Tokens(
            features.flatten(2).transpose(1, 2), position.flatten(1, 2), padding.flatten(1), (rows, columns),
            ragged=images.ragged,
        )  # fmt: skip
