"""A set of tokens as attention sees it. Padding travels with what it pads, so no call can forget it."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..shapes import Bool, Float


@dataclass(frozen=True, slots=True)
class Tokens:
    """`grid` is how many rows and columns the tokens lie in, row by row; what lies in no grid is one row.

    `ragged=False` promises that no token is padding, so that attention may leave its mask out.
    """

    content: Float[Tensor, "B L D"]
    position: Float[Tensor, "B L D"]
    padding: Bool[Tensor, "B L"]  # True where there is nothing to see
    grid: tuple[int, int]
    ragged: bool

    @classmethod
    def unpadded(cls, content: Float[Tensor, "B L D"], position: Float[Tensor, "B L D"]) -> "Tokens":
        padding = torch.zeros(content.shape[:2], dtype=torch.bool, device=content.device)
        return cls(content, position, padding, grid=(1, content.shape[1]), ragged=False)

    @property
    def visible(self) -> Bool[Tensor, "B 1 1 L"] | None:
        """The mask of an attention over these tokens, None where everything is seen."""
        return ~self.padding[:, None, None, :] if self.ragged else None

    def shared(self, queries: Float[Tensor, "_B N D"]) -> Float[Tensor, "B _N D"]:
        """Queries that come in G groups for each image, (B·G) N D, as one set for each image, B (G·N) D."""
        return queries.reshape(len(self.content), -1, queries.shape[-1])

    def holding(self, content: Float[Tensor, "B L D"]) -> "Tokens":
        return replace(self, content=content)
