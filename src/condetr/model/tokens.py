"""A set of tokens as attention sees it. Padding travels with what it pads, so no call can forget it."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..shapes import Bool, Float


@dataclass(frozen=True, slots=True)
class Tokens:
    """`ragged=False` promises that no token is padding, so that attention may leave its mask out."""

    content: Float[Tensor, "B L D"]
    position: Float[Tensor, "B L D"]
    padding: Bool[Tensor, "B L"]  # True where there is nothing to see
    ragged: bool

    @classmethod
    def unpadded(cls, content: Float[Tensor, "B L D"], position: Float[Tensor, "B L D"]) -> "Tokens":
        padding = torch.zeros(content.shape[:2], dtype=torch.bool, device=content.device)
        return cls(content, position, padding, ragged=False)

    @property
    def visible(self) -> Bool[Tensor, "B 1 1 L"] | None:
        """The mask of an attention over these tokens, None where everything is seen."""
        return ~self.padding[:, None, None, :] if self.ragged else None

    def repeat(self, times: int) -> "Tokens":
        """The batch, so many times over: B becomes times · B."""
        content, position, padding = (
            t.repeat(times, *(1,) * (t.ndim - 1)) for t in (self.content, self.position, self.padding)
        )
        return replace(self, content=content, position=position, padding=padding)

    def holding(self, content: Float[Tensor, "B L D"]) -> "Tokens":
        return replace(self, content=content)
