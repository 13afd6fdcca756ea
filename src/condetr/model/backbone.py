"""ResNets (He et al. 2015) with torchvision's and timm's names, so that their weights load, and DC5 dilation.

An image gets the same features alone and in a padded batch: what lies outside it is kept at zero before every layer
that looks at neighbours, as if the padding were the layer's own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..cpu.convolution import scaled_convolution
from ..shapes import Bool, Float
from ..types import Images

Features = Float[Tensor, "B _c _h _w"]


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """Features and which of their cells are padding. `ragged=False`: nothing is, or nobody shall ask."""

    content: Features
    padding: Bool[Tensor, "B h w"]
    ragged: bool

    def clean(self, x: Features) -> Features:
        """Zero x, of this map's size, where this map is padding: what a layer that looks at neighbours may see."""
        return x.masked_fill(self.padding[:, None], 0) if self.ragged else x

    def becoming(self, content: Features, stride: int) -> "FeatureMap":
        return FeatureMap(content, self.padding[:, ::stride, ::stride], self.ragged)


@runtime_checkable
class PaddingRule(Protocol):
    def enter(self, images: Images) -> FeatureMap: ...
    def leave(self, images: Images, features: FeatureMap) -> Bool[Tensor, "B h w"]: ...


class ExactPadding:
    """A cell is an image's if its top left pixel is: a side of n has ceil(n / stride) cells, as the image alone."""

    def enter(self, images: Images) -> FeatureMap:
        return FeatureMap(images.pixels, images.padding, images.ragged)

    def leave(self, images: Images, features: FeatureMap) -> Bool[Tensor, "B h w"]:
        return features.padding


class PublishedPadding:
    """The official code's: padding leaks into the features, and cells are masked by nearest sampling."""

    def enter(self, images: Images) -> FeatureMap:
        return FeatureMap(images.pixels, images.padding, ragged=False)

    def leave(self, images: Images, features: FeatureMap) -> Bool[Tensor, "B h w"]:
        return F.interpolate(images.padding[:, None].float(), features.content.shape[-2:])[:, 0].bool()


class Norm(nn.Module, ABC):
    """A norm that follows a convolution."""

    @abstractmethod
    def after(self, conv: nn.Conv2d, x: Features) -> Features: ...


EPSILON = 1e-5  # that the published batch norms add to a variance


class FrozenBatchNorm(Norm):
    """Batch norm with the statistics and the affine map of pretraining, as buffers: one scale and shift a channel."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def folded(self, conv: nn.Conv2d) -> tuple[Float[Tensor, "o i k k"], Float[Tensor, " o"]]:
        """Weight and bias of the one convolution that does what `conv` and then this norm do."""
        scale, shift = self.affine()
        return conv.weight if bool((scale == 1).all()) else conv.weight * scale[:, None, None, None], shift

    @torch.no_grad()
    def fold_into(self, conv: nn.Conv2d) -> None:
        """Give the scale to `conv` for good, in its weight, channels last; the norm keeps the shift alone."""
        weight, shift = self.folded(conv)
        conv.weight.data = weight.detach().contiguous(memory_format=torch.channels_last)
        self.weight.fill_(1.0)
        self.bias.copy_(shift)
        self.running_mean.zero_()
        self.running_var.fill_(1 - EPSILON)  # the scale is then exactly 1

    def affine(self) -> tuple[Float[Tensor, " o"], Float[Tensor, " o"]]:
        """The norm is scale · x + shift."""
        scale = self.weight * (self.running_var + EPSILON).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def after(self, conv: nn.Conv2d, x: Features) -> Features:
        """The norm of conv(x), folded into the convolution: one pass over the pixels instead of two."""
        return scaled_convolution(conv, *self.affine(), x)


class ChannelNorm(Norm):
    """Layer norm over the channels of each place: learns from nothing, and knows neither batch nor padding."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def after(self, conv: nn.Conv2d, x: Features) -> Features:
        x = conv(x).permute(0, 2, 3, 1)
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias).permute(0, 3, 1, 2)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel - 1) // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


class Projection(nn.Sequential):
    """The shortcut of a block that changes the shape."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Callable[[int], Norm]) -> None:
        super().__init__(convolution(inputs, outputs, 1, stride), norm(outputs))

    def forward(self, x: Features) -> Features:
        conv, norm = self
        assert isinstance(conv, nn.Conv2d) and isinstance(norm, Norm)  # noqa: PT018
        return norm.after(conv, x)


class Block(nn.Module):
    """What both kinds of block share: a shortcut that is projected where the shape changes."""

    expansion: int

    def __init__(self, inputs: int, width: int, stride: int, norm: Callable[[int], Norm]) -> None:
        super().__init__()
        outputs, self.stride = width * self.expansion, stride
        same = stride == 1 and inputs == outputs
        self.downsample = nn.Identity() if same else Projection(inputs, outputs, stride, norm)


class BasicBlock(Block):
    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, dilation: int, norm: Callable[[int], Norm]) -> None:
        super().__init__(inputs, width, stride, norm)
        self.conv1, self.bn1 = convolution(inputs, width, 3, stride, dilation), norm(width)
        self.conv2, self.bn2 = convolution(width, width, 3, 1, dilation), norm(width)

    def forward(self, x: FeatureMap) -> FeatureMap:
        y = x.becoming(self.bn1.after(self.conv1, x.clean(x.content)).relu_(), self.stride)
        z = self.bn2.after(self.conv2, y.clean(y.content))
        return y.becoming(z.add_(self.downsample(x.content)).relu_(), 1)


class Bottleneck(Block):
    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, dilation: int, norm: Callable[[int], Norm]) -> None:
        super().__init__(inputs, width, stride, norm)
        self.conv1, self.bn1 = convolution(inputs, width, 1), norm(width)
        self.conv2, self.bn2 = convolution(width, width, 3, stride, dilation), norm(width)
        self.conv3, self.bn3 = convolution(width, width * 4, 1), norm(width * 4)

    def forward(self, x: FeatureMap) -> FeatureMap:
        y = self.bn1.after(self.conv1, x.content).relu_()
        y = self.bn2.after(self.conv2, x.clean(y)).relu_()
        y = self.bn3.after(self.conv3, y)
        return x.becoming(y.add_(self.downsample(x.content)).relu_(), self.stride)


class ResNet(nn.Module):
    """Features of the last stage, `channels` of them, and which of their cells are padding.

    `blocks` and `widths` have one entry a stage. A dilated last stage (DC5) keeps its input's resolution; its first
    block is not dilated yet, as in torchvision.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        dilated: bool,
        norm: Callable[[int], Norm],
        rule: PaddingRule,
    ) -> None:
        super().__init__()
        inputs = widths[0]
        self.conv1, self.bn1 = convolution(3, inputs, 7, 2), norm(inputs)
        self.stages = [f"layer{i + 1}" for i in range(len(blocks))]
        for stage, count, width in zip(self.stages, blocks, widths, strict=True):
            dilate = dilated and stage == self.stages[-1]
            layers = nn.Sequential()
            for i in range(count):
                stride = 2 if i == 0 and stage != "layer1" and not dilate else 1
                layers.append(block(inputs, width, stride, 2 if i > 0 and dilate else 1, norm))
                inputs = width * block.expansion
            self.add_module(stage, layers)
        self.rule, self.channels = rule, inputs

    def forward(self, images: Images) -> tuple[Features, Bool[Tensor, "B h w"]]:
        pixels = self.rule.enter(images)
        content = pixels.content.contiguous(memory_format=torch.channels_last)  # every layer then keeps this layout
        x = pixels.becoming(self.bn1.after(self.conv1, content).relu_(), 2)
        x = x.becoming(F.max_pool2d(x.clean(x.content), 3, 2, 1), 2)  # after a ReLU, zero is as good as -inf
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return x.content, self.rule.leave(images, x)

    def train_from(self, first: str) -> None:
        """Only the parts from `first` on learn: stem, layer1 … layer4, or nothing."""
        parts = ["stem", *self.stages]
        learning = parts[parts.index(first) :] if first in parts else []
        for name, parameter in self.named_parameters():
            part = name.split(".")[0]
            parameter.requires_grad_((part if part in self.stages else "stem") in learning)
