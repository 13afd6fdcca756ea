"""Any timm network that takes images of any size, as a backbone: its features at one stride, or also at half of it.

Padding: nothing is known about the layers of an arbitrary network. With `UnpaddedBatches`, images of one size are run
together without the padding of the batch, each padded with zeros to multiples of the stride, so that an image gets the
same features alone and in a batch. With `PaddedBatch`, the padding of the batch leaks into its images.
Norms: batch norms always use the statistics of pretraining. Their scale and shift are trained with
norm=learned_batch only.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError, first_line
from ..images.prepare import MEAN, STD
from ..shapes import Float
from ..types import Images
from .backbone import Backbone, Features

Pixels = Float[Tensor, "B 3 H W"]
Maps = tuple[Features, ...]  # at the backbone's stride, and where it returns them those at half of it
Network = Callable[[Pixels], Maps]


class Batching(ABC):
    """How the images of a padded batch are given to a network that does not handle padding."""

    exact: bool

    @abstractmethod
    def run(self, network: Network, pixels: Pixels, images: Images, stride: int) -> Maps:
        """Maps with at least ceil(n / stride) cells for each side of n pixels, zero where a cell was not computed;
        `stride` is that of the first, and the second has half of it."""


class UnpaddedBatches(Batching):
    """Images without the padding of the batch, those of equal size together."""

    exact = True

    def run(self, network: Network, pixels: Pixels, images: Images, stride: int) -> Maps:
        if not images.ragged or pixels.is_meta:  # on the meta device sizes are not known, and nothing is computed
            return network(_to_multiples(pixels, stride))
        sizes = [tuple(size) for size in images.sizes.tolist()]
        each: list[Maps] = [()] * len(sizes)
        for w, h in dict.fromkeys(sizes):
            members = [i for i, size in enumerate(sizes) if size == (w, h)]
            maps = _of_size(network(_to_multiples(pixels[members, :, :h, :w], stride)), pixels, stride)
            for i, *of_one in zip(members, *maps):
                each[i] = tuple(of_one)
        return tuple(torch.stack(features) for features in zip(*each, strict=True))


class PaddedBatch(Batching):
    """The padded batch, unchanged."""

    exact = False

    def run(self, network: Network, pixels: Pixels, images: Images, stride: int) -> Maps:
        return network(_to_multiples(pixels, stride))


def _of_size(maps: Maps, pixels: Float[Tensor, "_B 3 _H _W"], stride: int) -> Maps:
    """The maps with as many cells as pixels of this size have: cut, or with zeros at the end."""
    sized = []
    for features, each in zip(maps, (stride, stride // 2)):
        rows, columns = (-(-side // each) for side in pixels.shape[2:])
        sized.append(F.pad(features, (0, columns - features.shape[3], 0, rows - features.shape[2])))
    return tuple(sized)


def _to_multiples(pixels: Float[Tensor, "B 3 _h _w"], stride: int) -> Float[Tensor, "B 3 _H _W"]:
    return F.pad(pixels, (0, -pixels.shape[3] % stride, 0, -pixels.shape[2] % stride))


@dataclass(frozen=True, slots=True)
class Level:
    """A place in a network where features can be taken: after `module`, at `stride`."""

    module: str
    stride: int


class TimmBackbone(Backbone):
    """Make one with `timm_backbone`. `network` returns a list of the features to use, finer ones first. `levels` are
    all places where the whole network has features, in order. `pixel_statistics` are the mean and standard deviation
    with which its images are normalised."""

    def __init__(
        self,
        network: nn.Module,
        channels: int,
        finer_channels: int,
        stride: int,
        levels: tuple[Level, ...],
        pixel_statistics: tuple[tuple[float, ...], tuple[float, ...]],
        batching: Batching,
        norms_learn: bool,
    ) -> None:
        super().__init__()
        self.network, self.stride, self.exact = network, stride, batching.exact
        self.channels, self.finer_channels = channels, finer_channels
        self.levels, self.batching, self.norms_learn = levels, batching, norms_learn
        mean, std = pixel_statistics
        self.scale = tuple(ours / theirs for ours, theirs in zip(STD, std))
        self.shift = tuple((ours - theirs) / own for ours, theirs, own in zip(MEAN, mean, std))

    def forward(self, images: Images) -> tuple[Tensor, ...]:
        dtype = next(self.network.parameters()).dtype
        maps = self.batching.run(self._maps, self._normalised(images).to(dtype), images, self.stride)
        found: list[Tensor] = []
        for features, stride in zip(maps, (self.stride, self.stride // 2)):
            padding = images.padding[:, ::stride, ::stride]
            rows, columns = padding.shape[1:]
            found += [features[:, :, :rows, :columns], padding]
        return tuple(found)

    def _maps(self, pixels: Pixels) -> Maps:
        return tuple(reversed(self.network(pixels)))

    def _normalised(self, images: Images) -> Pixels:
        """The pixels, normalised with ImageNet's statistics, as the network expects them; padding stays zero."""
        if self.scale == (1, 1, 1) and self.shift == (0, 0, 0):
            return images.pixels
        scale, shift = (images.pixels.new_tensor(each)[:, None, None] for each in (self.scale, self.shift))
        return (images.pixels * scale + shift).masked_fill(images.padding[:, None], 0)

    def train(self, mode: bool = True) -> "TimmBackbone":
        """Batch norms keep their statistics in training: a detector's batches are too small for others, and an image
        must not depend on its batch."""
        super().train(mode)
        for module in self._batch_norms():
            module.eval()
        return self

    def train_from(self, first: str) -> None:
        """As for a ResNet, by strides: `layerN` is what comes after the first features of the stride of its input.

        Raises ConfigError where the network has no features of that stride.
        """
        before = {"stem": 0, "layer1": 2, "layer2": 4, "layer3": 8, "layer4": 16}
        names = [name for name, _ in self.network.named_modules()]
        frozen = len(names) if first == "nothing" else self._end_of(before[first], names, first)
        for i, module in enumerate(self.network.modules()):
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(i >= frozen)
        if not self.norms_learn:
            for norm in self._batch_norms():
                norm.requires_grad_(False)

    def _end_of(self, stride: int, names: list[str], first: str) -> int:
        """How many of the modules come before or belong to the first features of a stride."""
        if not stride:
            return 0
        level = next((level for level in self.levels if level.stride == stride), None)
        if level is None:
            strides = ", ".join(str(one) for one in sorted({level.stride for level in self.levels}))
            raise ConfigError(
                f"model.backbone.trains_from={first}: this network has features of stride {strides}, none of {stride}. "
                "Choose stem, nothing, or another layer"
            )
        inside = [i for i, name in enumerate(names) if _plain(name).startswith(_plain(level.module))]
        return max(inside) + 1

    def _batch_norms(self) -> Iterator[nn.Module]:
        return (module for module in self.network.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d))

    def from_classifier(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a timm classifier that belong to this backbone, by their names here. Others are left out."""
        theirs = {_plain(name): tensor for name, tensor in state.items()}
        pairs = ((name, theirs.get(_plain(name.removeprefix("network.")))) for name in self.state_dict())
        return {name: tensor for name, tensor in pairs if tensor is not None}


def _plain(name: str) -> str:
    """A name without what timm changes when it makes a backbone of a network: `stages.0` becomes `stages_0`."""
    return name.removeprefix("model.").replace(".", "_")


def timm_backbone(
    name: str, stride: int, dilated: bool, finer: bool, batching: Batching, norms_learn: bool
) -> TimmBackbone:
    """The timm network `name` up to its features at `stride`, randomly initialised.

    `dilated`: the last stage keeps the resolution of its input (DC5), for networks that can. `finer`: it also returns
    the features at half the stride.
    Raises ConfigError where timm is not installed, has no such network, or it cannot be used as a backbone.
    """
    timm, setting = _timm(), f"model.backbone.name=timm:{name}"
    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=1)
        raise ConfigError(f"{setting}: timm has no such network." + f" Did you mean timm:{close[0]}?" * bool(close))
    options: dict[str, Any] = {"features_only": True} | ({"output_stride": stride} if dilated else {})
    height, width = 5 * 32, 7 * 32
    try:
        with torch.device("meta"):
            trial = timm.create_model(name, **options).eval()
            shapes = [tuple(features.shape) for features in trial(torch.zeros(1, 3, height, width))]
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = first_line(error, limit=100)
        raise ConfigError(
            f"{setting}: not usable as a backbone for images of any size{', dilated' * dilated} ({reason}). "
            "Choose a convolutional network"
        ) from None
    levels = tuple(map(Level, trial.feature_info.module_name(), trial.feature_info.reduction()))
    channels, used = trial.feature_info.channels(), []
    for each in (stride // 2, stride)[not finer :]:
        if all(level.stride != each for level in levels):
            strides = ", ".join(str(level.stride) for level in levels)
            needed = f"model.backbone.stride={stride}"
            if each < stride:
                needed = f"{each}, which finer keys need. Set model.keys=encoder"
            raise ConfigError(f"{setting}: has features of stride {strides}, none of {needed}")
        used.append(index := max(i for i, level in enumerate(levels) if level.stride == each))
        if shapes[index] != (1, channels[index], height // each, width // each):
            shape = f"its features have shape {shapes[index]}, not B C h w"
            raise ConfigError(f"{setting}: {shape}. Choose another network")
    network = timm.create_model(name, **options, out_indices=tuple(used))
    pixels = timm.get_pretrained_cfg(name)
    return TimmBackbone(
        network, channels[used[-1]], channels[used[0]] if finer else 0, stride, levels, (pixels.mean, pixels.std),
        batching, norms_learn,
    )  # fmt: skip


def hub_repository(name: str) -> str:
    """The hub repository with the pretrained weights of a timm network. Raises ConfigError where there is none."""
    defaults = _timm().get_pretrained_cfg(name)
    if defaults is None or not defaults.hf_hub_id:
        raise ConfigError(f"train.init=imagenet: timm has no pretrained weights of {name}")
    return defaults.hf_hub_id


def _timm() -> ModuleType:
    try:
        return import_module("timm")
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise ConfigError(f"timm needs {error.name}, which is not installed: pip install 'condetr[timm]'") from None
        raise ConfigError("a timm backbone needs timm: pip install 'condetr[timm]'") from None
    except (ImportError, RuntimeError) as error:  # a torchvision of another torch stops at import
        raise ConfigError(
            f"timm cannot be imported ({first_line(error, limit=100)}). Install the torchvision that belongs to torch "
            f"{torch.__version__}"
        ) from None
