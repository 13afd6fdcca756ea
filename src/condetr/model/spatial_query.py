"""The spatial query p_q of the conditional cross-attention: each form is a function (f, c, p) -> p_q.

f: decoder embedding that enters the layer.  c: embedding after self-attention.  p: embedded reference point.
The transforms T of the paper's figure 5 are Identity, Scalar, BlockDiagonal, full (one block) and Diagonal; the other
forms of its Table 3 are ReferenceOnly (= Identity), TransformOnly, ContentOnly and FromContent.
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
        """Initialise the form so that p_q = p, where that is possible."""


class Identity(SpatialQuery):
    """p_q = p"""

    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding:
        return p


class Scalar(SpatialQuery):
    """p_q = t(f) p, with one factor for all channels"""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.transform = MLP(dim, dim, 1, layers=2)

    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding:
        return self.transform(f) * p

    def start_as_identity(self) -> None:
        self.transform.start_with(torch.ones(()))


class Diagonal(SpatialQuery):
    """p_q = diag(t(f)) p: the published model"""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.transform = MLP(dim, dim, dim, layers=2)

    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding:
        return self.transform(f) * p

    def start_as_identity(self) -> None:
        self.transform.start_with(torch.ones(()))


class BlockDiagonal(SpatialQuery):
    """p_q = T(f) p, where T has dense blocks of equal size: one for each head, or a single one for a full T"""

    def __init__(self, dim: int, blocks: int) -> None:
        super().__init__()
        self.transform, self.blocks = MLP(dim, dim, dim * dim // blocks, layers=2), blocks
        self.side = dim // blocks

    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding:
        p = p.unflatten(-1, (self.blocks, -1))
        T = self.transform(f).unflatten(-1, (self.blocks, p.shape[-1], p.shape[-1]))
        return torch.einsum("bnkij,bnkj->bnki", T, p).flatten(-2)

    def start_as_identity(self) -> None:
        self.transform.start_with(torch.eye(self.side).expand(self.blocks, -1, -1).flatten())


class TransformOnly(SpatialQuery):
    """p_q = t(f), without the reference point"""

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
    """p_q = diag(t(c)) p, with the transform computed after self-attention"""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.transform = MLP(dim, dim, dim, layers=2)

    def forward(self, f: Embedding, c: Embedding, p: Embedding) -> Embedding:
        return self.transform(c) * p

    def start_as_identity(self) -> None:
        self.transform.start_with(torch.ones(()))
