"""ResNets (He et al. 2015) with the tensor names of torchvision and timm, so that their weights load, and with DC5.

An image gets the same features alone and in a padded batch: everything outside it is kept at zero before each layer
with a spatial extent, as if the padding were the layer's own.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import Images
from .backbone import Backbone, FeatureMap, Features, PaddingRule
from .norms import Norm


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Without a bias, which the norm after it has; padded so that stride 1 keeps the size."""
    padding = dilation * (kernel - 1) // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


class Projection(nn.Sequential):
    """The shortcut of a block that changes the shape of its input."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Callable[[int], Norm]) -> None:
        super().__init__(convolution(inputs, outputs, 1, stride), norm(outputs))

    def forward(self, x: Features) -> Features:
        conv, norm = self
        assert isinstance(conv, nn.Conv2d) and isinstance(norm, Norm)  # noqa: PT018
        return norm.after(conv, x)


class Block(nn.Module):
    """What both kinds of residual block share: a shortcut, projected where the shape changes."""

    expansion: int

    def __init__(self, inputs: int, width: int, stride: int, norm: Callable[[int], Norm]) -> None:
        super().__init__()
        outputs, self.stride = width * self.expansion, stride
        same = stride == 1 and inputs == outputs
        self.downsample = nn.Identity() if same else Projection(inputs, outputs, stride, norm)


class BasicBlock(Block):
    """Two 3 × 3 convolutions: ResNet-18 and ResNet-34."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, dilation: int, norm: Callable[[int], Norm]) -> None:
        super().__init__(inputs, width, stride, norm)
        self.conv1, self.bn1 = convolution(inputs, width, 3, stride, dilation), norm(width)
        self.conv2, self.bn2 = convolution(width, width, 3, 1, dilation), norm(width)

    def forward(self, x: FeatureMap) -> FeatureMap:
        y = x.strided(self.bn1.after(self.conv1, x.masked(x.content)).relu_(), self.stride)
        z = self.bn2.after(self.conv2, y.masked(y.content))
        return y.strided(z.add_(self.downsample(x.content)).relu_(), 1)


class Bottleneck(Block):
    """1 × 1, 3 × 3 and 1 × 1 convolutions; the second has the stride: ResNet-50 and ResNet-101."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, dilation: int, norm: Callable[[int], Norm]) -> None:
        super().__init__(inputs, width, stride, norm)
        self.conv1, self.bn1 = convolution(inputs, width, 1), norm(width)
        self.conv2, self.bn2 = convolution(width, width, 3, stride, dilation), norm(width)
        self.conv3, self.bn3 = convolution(width, width * 4, 1), norm(width * 4)

    def forward(self, x: FeatureMap) -> FeatureMap:
        y = self.bn1.after(self.conv1, x.content).relu_()
        y = self.bn2.after(self.conv2, x.masked(y)).relu_()
        y = self.bn3.after(self.conv3, y)
        return x.strided(y.add_(self.downsample(x.content)).relu_(), self.stride)


class ResNet(Backbone):
    """The features of the last stage, and of the one before it where `finer`. `blocks` and `widths` have one entry per
    stage.

    A `dilated` last stage (DC5) keeps the resolution of its input; its first block is not dilated, as in torchvision.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        dilated: bool,
        norm: Callable[[int], Norm],
        padding_rule: PaddingRule,
        finer: bool,
    ) -> None:
        super().__init__()
        inputs, total = widths[0], 4  # the stem's stride
        self.conv1, self.bn1 = convolution(3, inputs, 7, 2), norm(inputs)
        self.stages = [f"layer{i + 1}" for i in range(len(blocks))]
        for stage, count, width in zip(self.stages, blocks, widths, strict=True):
            dilate = dilated and stage == self.stages[-1]
            layers = nn.Sequential()
            for i in range(count):
                stride = 2 if i == 0 and stage != "layer1" and not dilate else 1
                total *= stride
                layers.append(block(inputs, width, stride, 2 if i > 0 and dilate else 1, norm))
                inputs = width * block.expansion
            self.add_module(stage, layers)
        self.padding_rule, self.exact = padding_rule, padding_rule.exact
        self.channels, self.stride = inputs, total
        self.finer_channels = widths[-2] * block.expansion if finer else 0

    def forward(self, images: Images) -> tuple[Tensor, ...]:
        pixels = self.padding_rule.input(images)
        content = pixels.content.contiguous(memory_format=torch.channels_last)  # all layers then keep this layout
        x = pixels.strided(self.bn1.after(self.conv1, content).relu_(), 2)
        x = x.strided(F.max_pool2d(x.masked(x.content), 3, 2, 1), 2)  # zeros are as good as -inf after a ReLU
        for stage in self.stages[:-1]:
            x = self.get_submodule(stage)(x)
        finer = (x.content, self.padding_rule.padding(images, x)) if self.finer_channels else ()
        x = self.get_submodule(self.stages[-1])(x)
        return x.content, self.padding_rule.padding(images, x), *finer

    def train_from(self, first: str) -> None:
        parts = ["stem", *self.stages]
        learning = parts[parts.index(first) :] if first in parts else []
        for name, parameter in self.named_parameters():
            part = name.split(".")[0]
            parameter.requires_grad_((part if part in self.stages else "stem") in learning)
