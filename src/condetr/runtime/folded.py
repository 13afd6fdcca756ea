"""A copy of a detector for inference: the same modules, with some layers replaced by faster ones.

Frozen batch norms are folded into their convolutions, a ReLU or the addition of a shortcut is computed together with
the convolution or linear layer before it, and what does not depend on the image is computed once. The rest is the
detector's own code.
"""

from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..cpu.convolution import Geometry, add_convolution_, fused_convolution
from ..cpu.linear import Activation, Linear, fused_linear
from ..model.backbone import Backbone, FeatureMap, Features
from ..model.detector import Detector
from ..model.norms import FrozenBatchNorm
from ..model.resnet import BasicBlock, Bottleneck, Projection, ResNet
from ..model.timm_backbone import TimmBackbone
from ..shapes import Float
from ..types import Images
from .constants import constants

Part = TypeVar("Part", bound=nn.Module)


def folded(detector: Detector, precision: torch.dtype) -> Detector:
    """A faster copy of a detector, with the same predictions up to rounding. Only for its own object queries.

    It cannot be trained. It shares the memory of all weights that stay as they are. In bfloat16, object queries,
    reference points and heads stay in float32: they cost little, and boxes would otherwise be rounded to about 1/250
    of their values.
    """
    decoder = _copied(detector.decoder, torch.float32, {})
    constant = constants(decoder, detector.queries.weight[None].detach(), precision)
    replaced: dict[int, nn.Module] = {id(detector.decoder): _copied(decoder, precision, constant)}
    if precision != torch.float32:
        replaced[id(detector.decoder)] = _Casting(replaced[id(detector.decoder)], precision)
        for head in (detector.heads.classes, detector.heads.box):
            replaced[id(head)] = _Casting(_copied(head, torch.float32, {}), torch.float32)
        for part in (detector.queries, detector.reference, detector.query_bias):
            replaced[id(part)] = _copied(part, torch.float32, {})
    return _copied(detector, precision, replaced)


def folded_backbone(backbone: Backbone) -> nn.Module:
    """A faster copy of a backbone in evaluation mode, with the same features up to rounding."""
    return _copied(backbone, torch.float32, {})


def fold_norms(module: nn.Module) -> None:
    """Fold the frozen batch norms of a module into its own convolutions, in place.

    The module computes the same as before, up to rounding, and a `folded` copy then shares the convolutions' weights.
    Only for a module that is not trained or saved afterwards.
    """
    for part in module.modules():
        if isinstance(part, ResNet | BasicBlock | Bottleneck | Projection):
            for conv, norm in pairwise(part.children()):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, FrozenBatchNorm):
                    norm.fold_into(conv)


@torch.no_grad()
def _copied(module: Part, precision: torch.dtype, replaced: dict[int, nn.Module]) -> Part:
    """A copy in evaluation mode, with faster modules where there are some; `replaced` are others, by the id of the
    module that they replace."""
    memo: dict[int, Any] = {}  # where `deepcopy` looks up, by id, what it has copied already
    for tensor in (*module.parameters(), *module.buffers()):
        value = tensor.detach().to(precision) if tensor.is_floating_point() else tensor
        memo[id(tensor)] = nn.Parameter(value, requires_grad=False) if isinstance(tensor, nn.Parameter) else value
    in_timm = {
        id(part) for network in module.modules() if isinstance(network, TimmBackbone) for part in network.modules()
    }
    for part in module.modules():
        if id(part) not in in_timm and (faster := _faster(part, precision)) is not None:
            memo[id(part)] = faster
    return deepcopy(module, memo | replaced).eval()


def _faster(module: nn.Module, precision: torch.dtype) -> nn.Module | None:
    """The module that replaces this one; None where it has to be copied. Subclasses may compute something else."""
    match module:
        case ResNet(bn1=FrozenBatchNorm()):
            return FoldedResNet(module, precision)
        case nn.Conv2d(bias=Tensor() as bias, groups=1, padding_mode="zeros", padding=tuple()):
            return Convolution(module, module.weight, bias, precision) if type(module) is nn.Conv2d else None
        case nn.Linear() if type(module) in (nn.Linear, Linear):
            return FusedLinear(module, "none", precision)
        case nn.Sequential() if type(module).forward is nn.Sequential.forward:
            pairs = pairwise(module)
            if any(isinstance(a, nn.Linear) and isinstance(b, nn.ReLU) for a, b in pairs):
                return nn.Sequential(*_chain(list(module), precision))
    return None


def _chain(parts: list[nn.Module], precision: torch.dtype) -> Iterator[nn.Module]:
    """Each linear layer of a sequence computes the ReLU that follows it."""
    for before, part, following in zip([None, *parts], parts, [*parts[1:], None]):
        if isinstance(part, nn.Linear):
            yield FusedLinear(part, "relu" if isinstance(following, nn.ReLU) else "none", precision)
        elif not (isinstance(part, nn.ReLU) and isinstance(before, nn.Linear)):
            yield _copied(part, precision, {})


class _Casting(nn.Module):
    """Casts the first argument of a module to `precision`."""

    def __init__(self, module: nn.Module, precision: torch.dtype) -> None:
        super().__init__()
        self.module, self.precision = module, precision

    def forward(self, first: Tensor, *others: Any) -> Any:
        return self.module(first.to(self.precision), *others)


class Convolution(nn.Module):
    """A convolution with a bias, with or without the frozen batch norm after it."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d, weight: Tensor, bias: Tensor, precision: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().to(precision).contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias.detach().to(precision))
        self.geometry = Geometry.of(conv)

    @classmethod
    def folded(cls, conv: nn.Module, norm: nn.Module, precision: torch.dtype) -> "Convolution":
        assert isinstance(conv, nn.Conv2d) and isinstance(norm, FrozenBatchNorm)  # noqa: PT018
        return cls(conv, *norm.folded(conv), precision)

    def forward(self, x: Features) -> Features:
        return fused_convolution(x, self.weight, self.bias, self.geometry, "none")

    def relu(self, x: Features) -> Features:
        """ReLU(conv(x))"""
        return fused_convolution(x, self.weight, self.bias, self.geometry, "relu")

    def add_relu_(self, shortcut: Features, x: Features) -> Features:
        """ReLU(shortcut + conv(x)), which overwrites the shortcut."""
        return add_convolution_(shortcut, x, self.weight, self.bias, self.geometry)


class FoldedBlock(nn.Module):
    """A basic block; what it has in common with a bottleneck block is in `__init__`."""

    def __init__(self, block: BasicBlock | Bottleneck, precision: torch.dtype) -> None:
        super().__init__()
        self.stride = block.stride
        self.downsample: nn.Module = nn.Identity()
        if isinstance(block.downsample, Projection):
            conv, norm = block.downsample
            self.downsample = Convolution.folded(conv, norm, precision)
        self.conv1 = Convolution.folded(block.conv1, block.bn1, precision)
        self.conv2 = Convolution.folded(block.conv2, block.bn2, precision)

    def forward(self, x: FeatureMap) -> FeatureMap:
        y = x.strided(self.conv1.relu(x.masked(x.content)), self.stride)
        return y.strided(self.conv2.add_relu_(self.downsample(x.content), y.masked(y.content)), 1)


class FoldedBottleneck(FoldedBlock):
    """A bottleneck block, which has a third convolution."""

    def __init__(self, block: Bottleneck, precision: torch.dtype) -> None:
        super().__init__(block, precision)
        self.conv3 = Convolution.folded(block.conv3, block.bn3, precision)

    def forward(self, x: FeatureMap) -> FeatureMap:
        y = self.conv2.relu(x.masked(self.conv1.relu(x.content)))
        return x.strided(self.conv3.add_relu_(self.downsample(x.content), y), self.stride)


class FoldedResNet(nn.Module):
    """A ResNet with frozen batch norms, whose blocks are in one list."""

    def __init__(self, plain: ResNet, precision: torch.dtype) -> None:
        super().__init__()
        self.padding_rule, self.stride = plain.padding_rule, plain.stride
        self.conv1 = Convolution.folded(plain.conv1, plain.bn1, precision)
        self.blocks = nn.ModuleList()
        self.finer = plain.finer_channels > 0
        last = plain.get_submodule(plain.stages[-1])
        for block in plain.modules():
            if block is last:
                self.before_last_stage = len(self.blocks)
            match block:
                case Bottleneck():
                    self.blocks.append(FoldedBottleneck(block, precision))
                case BasicBlock():
                    self.blocks.append(FoldedBlock(block, precision))

    def forward(self, images: Images) -> tuple[Tensor, ...]:
        pixels = self.padding_rule.input(images)
        content = pixels.content.contiguous(memory_format=torch.channels_last)
        x = pixels.strided(self.conv1.relu(content), 2)
        x = x.strided(F.max_pool2d(x.masked(x.content), 3, 2, 1), 2)
        finer: tuple[Tensor, ...] = ()
        for i, block in enumerate(self.blocks):
            if i == self.before_last_stage and self.finer:
                finer = (x.content, self.padding_rule.padding(images, x))
            x = block(x)
        return x.content, self.padding_rule.padding(images, x), *finer


class FusedLinear(nn.Module):
    """A linear layer, with the ReLU after it where there is one."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear, activation: Activation, precision: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("weight", linear.weight.detach().to(precision))
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().to(precision))
        self.activation = activation

    def forward(self, x: Float[Tensor, "*any _i"]) -> Float[Tensor, "*any _o"]:
        return fused_linear(x, self.weight, self.bias, self.activation)
