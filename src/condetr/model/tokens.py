"""Image tokens with their positions and padding, passed to attention as one value."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ..shapes import Bool, Float


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of images: cell i of a row or column starts at pixel i · stride. `size` is the width and height of each
    image, in pixels."""

    stride: int
    size: Float[Tensor, "B 2"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """L tokens for each of B images, with their sine embedded positions.

    `padding` is True for tokens outside the image. `grid` is the number of rows and columns, with tokens row by row;
    tokens without a grid are one row. `ragged=False` promises that no token is padding: attention then needs no mask.
    `cells` is None where tokens are no cells of images.
    """

    content: Float[Tensor, "B L D"]
    position: Float[Tensor, "B L D"]
    padding: Bool[Tensor, "B L"]
    grid: tuple[int, int]
    ragged: bool
    cells: Cells | None
    _projections: dict[nn.Module, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of_queries(
        cls, content: Float[Tensor, "B L D"], position: Float[Tensor, "B L D"], valid: Bool[Tensor, "B L"] | None
    ) -> "Tokens":
        """Queries as tokens. Those that are not `valid` are padding; None: all are valid.

        In a row without a valid query none counts as padding: an attention needs at least one token.
        """
        if valid is None:
            padding = torch.zeros(content.shape[:2], dtype=torch.bool, device=content.device)
        else:
            padding = ~valid & valid.any(1, keepdim=True)
        return cls(content, position, padding, grid=(1, content.shape[1]), ragged=valid is not None, cells=None)

    @property
    def mask(self) -> Bool[Tensor, "B 1 1 L"] | None:
        """The mask of an attention to these tokens: True for those that take part; None where all do."""
        return ~self.padding[:, None, None, :] if self.ragged else None

    def projected(self, layer: nn.Module) -> Float[Tensor, "B L D"]:
        """`layer(content)`. In training it is computed once, because further queries learn from the same tokens."""
        if not torch.is_grad_enabled():
            return layer(self.content)
        if layer not in self._projections:
            self._projections[layer] = layer(self.content)
        return self._projections[layer]

    def by_image(self, queries: Float[Tensor, "_B N D"]) -> Float[Tensor, "B _N D"]:
        """The queries of all groups of an image, (B·G) N D, as one set for each image, B (G·N) D."""
        return queries.reshape(self.content.shape[0], -1, queries.shape[-1])

    def axes(self) -> tuple[Float[Tensor, "B h d"], Float[Tensor, "B w d"]]:
        """The embedded y of each row and x of each column, undefined for those that are padding."""
        position = self.position.unflatten(1, self.grid)
        half = position.shape[-1] // 2
        return position[:, :, 0, :half], position[:, 0, :, half:]

    def with_content(self, content: Float[Tensor, "B L D"]) -> "Tokens":
        """These tokens with other content."""
        return replace(self, content=content)
