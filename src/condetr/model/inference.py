"""The inference form of a detector: the same model and the same weights, its leaves exchanged for faster ones.

Encoder, decoders, spatial queries and heads stay the detector's own code, whichever variant it is. What changes is
below them: frozen batch norms are folded into their convolutions once, what follows a convolution or a product (a ReLU,
the sum with the shortcut) is done while the result is still in the processor's cache, and on a CPU each picture of a
batch is looked at alone, so that nobody computes padding.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..shapes import Float
from ..types import Images, Predictions
from .backbone import BasicBlock, Bottleneck, ExactPadding, FeatureMap, Features, FrozenBatchNorm, ResNet
from .detector import Detector
from .kernels import fused
from .settled import settle

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
    for folded convolutions."""
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


class Form(nn.Module):
    """Answers as the detector does, through `look`: what it says of one batch, in whatever precision."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.apart, self.look = isinstance(detector.backbone.rule, ExactPadding), detector.answer

    @torch.inference_mode()
    def answer(self, images: Images) -> Predictions:
        """What the last stage says (S = 1), always in float32."""
        alone = self.apart and images.pixels.device.type == "cpu"
        answers = [self.look(part) for part in (_apart(images) if alone else [images])]
        return Predictions(
            logits=torch.cat([answer.logits.float() for answer in answers], dim=1),
            boxes=torch.cat([answer.boxes for answer in answers], dim=1),
        )


class PlainForm(Form):
    """The detector itself, with whatever weights it has when it is asked."""


class InferenceForm(Form):
    """With the weights the detector had when this was made; built in a tenth of a second.

    `precision` is what weights and activations are held in: float32 gives the detector's own answers, bfloat16 takes
    half the time on processors that have it and moves logits by some hundredths. Object queries, reference points and
    heads stay in float32: they cost little, and boxes would otherwise be rounded to some 1/250 of themselves.
    """

    def __init__(self, detector: Detector, precision: torch.dtype) -> None:
        super().__init__(detector)
        settled = settle(detector)
        with torch.no_grad():
            form = cast(Any, faster(settled).eval().to(precision))
            if precision != torch.float32:
                for name in ("queries", "reference", "heads"):
                    setattr(form, name, faster(getattr(settled, name)).eval())
                form.decoder, form.heads = _Rounding(form.decoder, precision), _Rounding(form.heads, torch.float32)
            self.detector = cast(Detector, form)
        self.look, self.precision = self.detector.answer, precision


class _Rounding(nn.Module):
    """A part whose first argument comes in another precision than its own."""

    def __init__(self, part: nn.Module, precision: torch.dtype) -> None:
        super().__init__()
        self.part, self.precision = part, precision

    def forward(self, first: Tensor, *others: Any) -> Any:
        return self.part(first.to(self.precision), *others)


class CompiledForm(Form):
    """The detector as torch's compiler translates it when it is first asked, once for pictures of all sizes.

    That takes minutes on a CPU, and there needs a C++ compiler.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)

        def look(pixels: Tensor, padding: Tensor, ragged: bool) -> tuple[Tensor, Tensor]:
            found = detector.answer(Images(pixels, padding, ragged))
            return found.logits, found.boxes

        compiled = torch.compile(look, dynamic=True)
        self.look = lambda images: Predictions(*compiled(images.pixels, images.padding, images.ragged))


def _apart(images: Images) -> Iterator[Images]:
    """Each picture as a batch of its own, without its padding: a CPU gains nothing from a batch but larger tensors."""
    for pixels, padding in zip(images.pixels, images.padding):
        h, w = int((~padding[:, 0]).sum()), int((~padding[0]).sum())
        yield Images(pixels[None, :, :h, :w], padding[None, :h, :w], ragged=False)
