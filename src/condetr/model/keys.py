"""What the decoder attends to: the encoder's output, the same at half its stride, fused with finer features, or
both."""

from abc import ABC, abstractmethod
from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional as F

from .backbone import CellPadding, Features
from .tokens import Cells, Tokens


class Keys(nn.Module, ABC):
    @abstractmethod
    def forward(self, memory: Tokens, *finer: Tensor) -> Tokens:
        """The tokens for the decoder. `finer` are the features of the backbone's stage before the last, and which of
        their cells are padding, where the backbone returns them."""


class EncoderKeys(Keys):
    """The encoder's output: the published models."""

    def forward(self, memory: Tokens, *finer: Tensor) -> Tokens:
        return memory


class FusedKeys(Keys):
    """keys = up(memory) + conv3x3(up(memory) + conv1x1(finer)), where up repeats each cell 2 × 2.

    The encoder stays cheap, and keys have the finer stride: most of the gain of DC5. The outer convolution starts at
    zero, so that the keys are at first the encoder's. An image gets the same keys alone and in a padded batch.
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, dim, kernel_size=1)
        self.fuse = nn.Conv2d(dim, dim, kernel_size=3, padding=1)
        for parameter in self.fuse.parameters():
            nn.init.zeros_(parameter)

    def forward(self, memory: Tokens, *finer: Tensor) -> Tokens:
        features, padding = finer
        rows, columns = features.shape[2:]
        coarse = self.coarse(memory.content.transpose(1, 2).unflatten(2, memory.grid))
        coarse = F.interpolate(coarse, scale_factor=2.0, mode="nearest")[:, :, :rows, :columns]
        keys = coarse + self.fuse(self._inside(coarse + self.project(features), padding, memory.ragged))
        assert memory.cells is not None
        cells = Cells(memory.cells.stride // 2, memory.cells.size)
        return Tokens.of_cells(keys, padding, memory.position.shape[2], memory.ragged, cells)

    def coarse(self, memory: Features) -> Features:
        """The encoder's output as the keys have it."""
        return memory

    @staticmethod
    def _inside(x: Features, padding: CellPadding, ragged: bool) -> Features:
        """Zeros outside the image, as if they were the convolution's own padding."""
        return x.masked_fill(padding[:, None], 0) if ragged else x


class MultiScaleKeys(FusedKeys):
    """The encoder's output, and fused keys with half of its channels beside it: half of the heads attend to each.

    It costs less than fused keys: half as many heads compute scores of fine cells, and the convolution has a quarter of
    the weights.
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__(channels, dim // 2)
        self.reduce = nn.Conv2d(dim, dim // 2, kernel_size=1)

    def forward(self, memory: Tokens, *finer: Tensor) -> Tokens:
        return replace(memory, finer=super().forward(memory, *finer))

    def coarse(self, memory: Features) -> Features:
        return self.reduce(memory)
