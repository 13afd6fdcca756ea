"""What a detector needs of a backbone: image features, their stride, and which of their cells are padding."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from ..shapes import Bool, Float
from ..types import Images

Features = Float[Tensor, "B _c _h _w"]
CellPadding = Bool[Tensor, "B _h _w"]


class Backbone(nn.Module, ABC):
    """From images to features B C h w.

    `channels` is their number of channels C, `stride` the distance in pixels from one cell to the next. `exact` means
    that an image gets the same features alone and in a padded batch. `finer_channels` is the number of channels of the
    features at half the stride, 0 where the backbone does not return them.
    """

    channels: int
    stride: int
    exact: bool
    finer_channels: int = 0

    @abstractmethod
    def forward(self, images: Images) -> tuple[Tensor, ...]:
        """Features, and True for the cells outside each image: a side of n pixels has ceil(n / stride) cells.

        The same two of half the stride follow where `finer_channels` is not 0.
        """

    @abstractmethod
    def train_from(self, first: str) -> None:
        """Freeze all that comes before `first`: stem, layer1 … layer4, or nothing (all of it is frozen).

        layer1 to layer4 are the stages, whose inputs have the strides 4 (after the pooling), 4, 8 and 16.
        """


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """Features and which of their cells are padding. With `ragged=False` the padding is not read."""

    content: Features
    padding: Bool[Tensor, "B h w"]
    ragged: bool

    def masked(self, x: Features) -> Features:
        """x, of this map's size, with zeros where this map is padding: the input of layers with a spatial extent."""
        return x.masked_fill(self.padding[:, None], 0) if self.ragged else x

    def strided(self, content: Features, stride: int) -> "FeatureMap":
        """The map of features that were computed from this one with a stride."""
        return FeatureMap(content, self.padding[:, ::stride, ::stride], self.ragged)


class PaddingRule(ABC):
    """How a backbone treats the padding of a batch."""

    exact: bool

    @abstractmethod
    def input(self, images: Images) -> FeatureMap:
        """The input of the first layer."""

    @abstractmethod
    def padding(self, images: Images, features: FeatureMap) -> CellPadding:
        """Which cells of the last features are padding."""


class ExactPadding(PaddingRule):
    """Padding stays zero in every layer. A cell is the image's if its top left pixel is."""

    exact = True

    def input(self, images: Images) -> FeatureMap:
        return FeatureMap(images.pixels, images.padding, images.ragged)

    def padding(self, images: Images, features: FeatureMap) -> CellPadding:
        return features.padding


class PublishedPadding(PaddingRule):
    """As the official code: padding leaks into the features, and cells are masked by nearest sampling."""

    exact = False

    def input(self, images: Images) -> FeatureMap:
        return FeatureMap(images.pixels, images.padding, ragged=False)

    def padding(self, images: Images, features: FeatureMap) -> CellPadding:
        return F.interpolate(images.padding[:, None].float(), features.content.shape[-2:])[:, 0].bool()
