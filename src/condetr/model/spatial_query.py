"""How a query says where it looks: every form is `(f, c, p) -> p_q`.

f: decoder embedding entering the layer.  c: the same after self-attention.  p: embedded reference point.
The paper's transforms T are Identity, Scalar, BlockDiagonal, full (one block) and Diagonal; its other
forms of the query are ReferenceOnly (= Identity), TransformOnly, ContentOnly and FromContent.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ..shapes import Float
from .layers import MLP

Embedding = Float[Tensor, "B N D"]


class SpatialQuery(nn.Module, ABC):
    @abstractmethod
    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding: ...

    def start_as_identity(self) -> None:
        """Let p_q = p until something else is learned, where the form can say so."""


class Identity(SpatialQuery):
    """p_q = p"""

    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding:
        return p


class Scalar(SpatialQuery):
    """p_q = t(f) p, one number for all channels"""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.transform = MLP(dim, dim, 1, layers=2)

    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding:
        return self.transform(f) * p

    def start_as_identity(self) -> None:
        _answer(self.transform, torch.ones(()))


class Diagonal(SpatialQuery):
    """p_q = diag(t(f)) p, the published model"""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.transform = MLP(dim, dim, dim, layers=2)

    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding:
        return self.transform(f) * p

    def start_as_identity(self) -> None:
        _answer(self.transform, torch.ones(()))


class BlockDiagonal(SpatialQuery):
    """p_q = T(f) p, T made of equal dense blocks: one for each head, or a single one for a full T"""

    def __init__(self, dim: int, blocks: int) -> None:
        super().__init__()
        self.transform, self.blocks = MLP(dim, dim, dim * dim // blocks, layers=2), blocks
        self.side = dim // blocks

    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding:
        p = p.unflatten(-1, (self.blocks, -1))
        T = self.transform(f).unflatten(-1, (self.blocks, p.shape[-1], p.shape[-1]))
        return torch.einsum("bnkij,bnkj->bnki", T, p).flatten(-2)

    def start_as_identity(self) -> None:
        _answer(self.transform, torch.eye(self.side).expand(self.blocks, -1, -1).flatten())


class TransformOnly(SpatialQuery):
    """p_q = t(f), the gaze without the place"""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.transform = MLP(dim, dim, dim, layers=2)

    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding:
        return self.transform(f)


class ContentOnly(SpatialQuery):
    """p_q = f"""

    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding:
        return f


class FromContent(SpatialQuery):
    """p_q = diag(t(c)) p, the transform read after self-attention"""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.transform = MLP(dim, dim, dim, layers=2)

    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding:
        return self.transform(c) * p

    def start_as_identity(self) -> None:
        _answer(self.transform, torch.ones(()))


def _answer(transform: MLP, value: Float[Tensor, "*_o"]) -> None:
    """Let an MLP say `value` to everything, for a start."""
    weight, bias = transform[-1].parameters()
    with torch.no_grad():
        weight.zero_()
        bias.copy_(value)
