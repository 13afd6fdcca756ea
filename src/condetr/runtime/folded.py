"""The leaves of a detector that learns no more, exchanged for faster ones: the same computation, the same weights.

Frozen batch norms are folded into their convolutions, and what follows a convolution or a product (a ReLU, the sum
with the shortcut) is done while the result is still in the processor's cache.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..cpu.kernels import fused
from ..model.backbone import BasicBlock, Bottleneck, FeatureMap, Features, FrozenBatchNorm, Projection, ResNet
from ..shapes import Float
from ..types import Images

After = Literal["none", "relu"]


class Convolution(nn.Module):
    """A convolution, with the frozen batch norm after it folded in; what comes next can be had in the same pass."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias.detach())
        self.padding, self.stride, self.dilation = _pair(conv.padding), _pair(conv.stride), _pair(conv.dilation)

    @classmethod
    def folded(cls, conv: nn.Conv2d, norm: nn.Module) -> "Convolution":
        assert isinstance(norm, FrozenBatchNorm)
        return cls(conv, *norm.folded(conv))

    def forward(self, x: Features) -> Features:
        return self._then("none", x)

    def rectified(self, x: Features) -> Features:
        """ReLU(conv(x))"""
        return self._then("relu", x)

    def onto(self, shortcut: Features, x: Features) -> Features:
        """ReLU(shortcut + conv(x)), written over the shortcut."""
        if not fused(x):
            return shortcut.add_(self(x)).relu_()
        return torch.ops.mkldnn._convolution_pointwise_.binary(
            shortcut, x, self.weight, self.bias, self.padding, self.stride, self.dilation, 1, "add", 1.0, "relu", [], ""
        )

    def _then(self, after: After, x: Features) -> Features:
        if fused(x):
            return torch.ops.mkldnn._convolution_pointwise(
                x, self.weight, self.bias, self.padding, self.stride, self.dilation, 1, after, [], ""
            )
        return _finish(after, F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation))


def fold(module: nn.Module) -> None:
    """Give the scales of a module's frozen batch norms to its own convolutions, for good.

    It answers the same, to rounding, and an inference form made of it afterwards holds its convolutions' weights with
    it, once. For a module that nobody else learns with or saves.
    """
    for part in module.modules():
        if isinstance(part, ResNet | BasicBlock | Bottleneck | Projection):
            for conv, norm in pairwise(part.children()):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, FrozenBatchNorm):
                    norm.fold_into(conv)


class FoldedBlock(nn.Module):
    """Either kind of residual block."""

    def __init__(self, block: BasicBlock | Bottleneck) -> None:
        super().__init__()
        self.stride = block.stride
        same = isinstance(block.downsample, nn.Identity)
        self.downsample = nn.Identity() if same else Convolution.folded(*block.downsample.children())  # type: ignore[arg-type]
        self.conv1 = Convolution.folded(block.conv1, block.bn1)
        self.conv2 = Convolution.folded(block.conv2, block.bn2)

    def forward(self, x: FeatureMap) -> FeatureMap:
        y = x.becoming(self.conv1.rectified(x.clean(x.content)), self.stride)
        return y.becoming(self.conv2.onto(self.downsample(x.content), y.clean(y.content)), 1)


class FoldedBottleneck(FoldedBlock):
    def __init__(self, block: Bottleneck) -> None:
        super().__init__(block)
        self.conv3 = Convolution.folded(block.conv3, block.bn3)

    def forward(self, x: FeatureMap) -> FeatureMap:
        y = self.conv2.rectified(x.clean(self.conv1.rectified(x.content)))
        return x.becoming(self.conv3.onto(self.downsample(x.content), y), self.stride)


class FoldedResNet(nn.Module):
    def __init__(self, plain: ResNet) -> None:
        super().__init__()
        self.rule, self.channels = plain.rule, plain.channels
        self.conv1 = Convolution.folded(plain.conv1, plain.bn1)
        blocks = [block for block in plain.modules() if isinstance(block, BasicBlock | Bottleneck)]
        self.blocks = nn.ModuleList(
            FoldedBottleneck(block) if isinstance(block, Bottleneck) else FoldedBlock(block) for block in blocks
        )

    def forward(self, images: Images) -> tuple[Features, Tensor]:
        pixels = self.rule.enter(images)
        content = pixels.content.to(self.conv1.weight.dtype).contiguous(memory_format=torch.channels_last)
        x = pixels.becoming(self.conv1.rectified(content), 2)
        x = x.becoming(F.max_pool2d(x.clean(x.content), 3, 2, 1), 2)
        for block in self.blocks:
            x = block(x)
        return x.content, self.rule.leave(images, x)


class Product(nn.Module):
    """A linear layer, with the ReLU after it where there is one."""

    weight: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear, after: After) -> None:
        super().__init__()
        self.register_buffer("weight", linear.weight.detach())
        self.register_buffer("bias", linear.bias.detach())
        self.after = after

    def forward(self, x: Float[Tensor, "*any _i"]) -> Float[Tensor, "*any _o"]:
        if fused(x):
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.after, [], "")
        return _finish(self.after, F.linear(x, self.weight, self.bias))


def _pair(sizes: Iterable[int] | str) -> list[int]:
    return [int(size) for size in sizes]


def _finish(after: After, x: Tensor) -> Tensor:
    return x.relu_() if after == "relu" else x


def faster(module: nn.Module) -> nn.Module:
    """The same computation, with nothing left to learn: parameters become buffers, which share memory with them but
    for convolutions that are folded here and not before (`fold`)."""
    match module:
        case ResNet() if isinstance(module.bn1, FrozenBatchNorm):
            return FoldedResNet(module)
        case nn.Sequential() if type(module).forward is nn.Sequential.forward:
            return nn.Sequential(*_chain([part for part in module if not isinstance(part, nn.Dropout)]))
        case nn.Linear():
            return Product(module, "none")
        case nn.Conv2d(weight=weight, bias=Tensor() as bias, groups=1):
            return Convolution(module, weight, bias)
    form = copy(module)
    form.__dict__.update({name: copy(value) for name, value in module.__dict__.items() if isinstance(value, dict)})
    for name, parameter in module._parameters.items():
        del form._parameters[name]
        form.register_buffer(name, None if parameter is None else parameter.detach())
    for name, child in module.named_children():
        form.add_module(name, faster(child))
    return form


def _chain(parts: list[nn.Module]) -> Iterator[nn.Module]:
    """A linear layer takes the ReLU that follows it along."""
    for before, part, following in zip([None, *parts], parts, [*parts[1:], None]):
        if isinstance(part, nn.Linear):
            yield Product(part, "relu" if isinstance(following, nn.ReLU) else "none")
        elif not (isinstance(part, nn.ReLU) and isinstance(before, nn.Linear)):
            yield faster(part)
