"""Image tokens with their positions and padding, passed to attention as one value."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..shapes import Bool, Float
from .backbone import CellPadding, Features
from .layers import embed_grid


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of images: cell i of a row or column starts at pixel i · stride. `size` is the width and height of each
    image, in pixels."""

    stride: int
    size: Float[Tensor, "B 2"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """L tokens for each of B images, with their sine embedded positions (P = D but for `finer` tokens).

    `padding` is True for tokens outside the image. `grid` is the number of rows and columns, with tokens row by row;
    tokens without a grid are one row. `ragged=False` promises that no token is padding: attention then needs no mask.
    `cells` is None where tokens are no cells of images. `finer` are tokens of half the stride, to which half of the
    heads of a `MultiScaleCrossAttention` attend.
    """

    content: Float[Tensor, "B L D"]
    position: Float[Tensor, "B L P"]
    padding: Bool[Tensor, "B L"]
    grid: tuple[int, int]
    ragged: bool
    cells: Cells | None
    finer: "Tokens | None" = None

    @classmethod
    def of_cells(cls, features: Features, padding: CellPadding, channels: int, ragged: bool, cells: Cells) -> "Tokens":
        """One token for each cell of a map, whose position has `channels`."""
        rows, columns = padding.shape[1:]
        position = embed_grid(padding, channels).to(features.dtype)
        content = features.flatten(2).transpose(1, 2)
        return cls(content, position.flatten(1, 2), padding.flatten(1), (rows, columns), ragged, cells)

    @classmethod
    def of_queries(cls, content: Float[Tensor, "B L D"], position: Float[Tensor, "B L D"]) -> "Tokens":
        """Queries as tokens."""
        padding = torch.zeros(content.shape[:2], dtype=torch.bool, device=content.device)
        return cls(content, position, padding, grid=(1, content.shape[1]), ragged=False, cells=None)

    @property
    def mask(self) -> Bool[Tensor, "B 1 1 L"] | None:
        """The mask of an attention to these tokens: True for those that take part; None where all do."""
        return ~self.padding[:, None, None, :] if self.ragged else None

    def axes(self) -> tuple[Float[Tensor, "B h d"], Float[Tensor, "B w d"]]:
        """The embedded y of each row and x of each column, undefined for those that are padding."""
        position = self.position.unflatten(1, self.grid)
        half = position.shape[-1] // 2
        return position[:, :, 0, :half], position[:, 0, :, half:]

    def with_content(self, content: Float[Tensor, "B L D"]) -> "Tokens":
        """These tokens with other content."""
        return replace(self, content=content)
