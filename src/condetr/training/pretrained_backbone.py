"""The weights of a backbone that is pretrained on ImageNet: from the hub, or from a file of torchvision or timm."""

import re
from pathlib import Path

import torch
from torch import Tensor

from ..config import Backbone, Config
from ..errors import ConfigError, WeightsError
from ..files import quoted
from ..interchange import read_pth, read_safetensors
from ..interchange.hub import download, reason
from ..model.detector import Detector
from ..model.timm_backbone import TimmBackbone, hub_repository

IMAGENET = "timm/{}.tv_in1k"  # torchvision's V1 weights, which both papers start from
ALTERNATIVES = "Use `init=FILE` with a backbone's weights, or `recipe='nano'`, which trains from scratch"
FIRST, SECOND = "conv1.weight", "bn1.weight"  # tensors of every ResNet, and of its blocks
BLOCK = re.compile(r"layer[1-4]\.[0-9]+\.$")
WRAPPERS = ("state_dict", "model", "model_state_dict")  # keys under which files have their tensors


def imagenet_repository(backbone: Backbone) -> str:
    """The hub repository with the ImageNet weights of a backbone. Raises ConfigError where there are none."""
    if backbone.timm_name:
        return hub_repository(backbone.timm_name)
    if backbone.name == "nano":
        reason = f"there are no ImageNet weights for the backbone {backbone.name}. Use `init='none'`"
        raise ConfigError(reason, setting="train.init", value="imagenet")
    return IMAGENET.format(backbone.name)


def imagenet_file(repository: str, revision: str | None) -> Path:
    """The file with the weights, in the hub's cache. Raises WeightsError where they cannot be downloaded."""
    try:
        return download(repository, revision, ["model.safetensors"]) / "model.safetensors"
    except Exception as error:  # the client raises many types, for servers, proxies and broken caches
        raise WeightsError(
            f"{repository}: the ImageNet weights could not be downloaded ({reason(error)}). On a machine with a "
            f"network run `hf download {repository} model.safetensors --local-dir DIR`, copy DIR here and give "
            "`init='DIR/model.safetensors'`; or train from scratch with `recipe='nano'`"
        ) from None


def load_backbone(detector: Detector, file: Path, config: Config) -> str:
    """Load a backbone's weights, named as torchvision and timm name them. Returns a line about it.

    Stages that the model does not have, the classifier, and the counters of batch norms are left out. Raises
    WeightsError naming the first tensor that does not fit.
    """
    tensors = read_backbone(file)
    if isinstance(detector.backbone, TimmBackbone):
        tensors = detector.backbone.from_classifier(tensors)
    else:
        tensors = _resnet_tensors(tensors, file, config.model.backbone.last_stage)
    expected = {name: tensor for name, tensor in detector.backbone.state_dict().items() if not _counts(name)}
    described = f"model.backbone {config.model.backbone.name}, norm {config.model.backbone.norm}"
    for name, tensor in expected.items():
        if name not in tensors:
            raise WeightsError(f"{file}: {name} is missing, which {described} needs. {ALTERNATIVES}")
        if tensors[name].shape != tensor.shape:
            shapes = f"{tuple(tensors[name].shape)}, not {tuple(tensor.shape)}"
            raise WeightsError(f"{file}: {name} has shape {shapes} as {described} needs. {ALTERNATIVES}")
        _check_numbers(tensors[name], tensor, f"{file}: {name}")
    if unknown := sorted(name for name in set(tensors) - set(expected) if not _counts(name)):
        raise WeightsError(f"{file}: {unknown[0]} is not part of {described}. {ALTERNATIVES}")
    loaded = {name: tensors[name].to(tensor.dtype) for name, tensor in expected.items()}
    detector.backbone.load_state_dict(loaded, strict=False)  # without the counters
    return f"backbone initialised from {file}"


def _check_numbers(tensor: Tensor, own: Tensor, place: str) -> None:
    """Raises WeightsError for quantised and complex weights, for those with NaN or infinity and for negative variances;
    converted to floating point numbers, they would be others."""
    kind = "sparse" if tensor.layout != torch.strided else "quantised" if tensor.is_quantized else str(tensor.dtype)
    if kind != str(tensor.dtype) or (own.is_floating_point() and not tensor.is_floating_point()):
        raise WeightsError(f"{place} is {kind}, not floating point numbers. {ALTERNATIVES}")
    if not torch.isfinite(tensor.float()).all():
        raise WeightsError(f"{place} contains NaN or infinity. {ALTERNATIVES}")
    if place.endswith("running_var") and (tensor.float() < 0).any():
        raise WeightsError(f"{place} has negative variances. {ALTERNATIVES}")


def _resnet_tensors(tensors: dict[str, Tensor], file: Path, last_stage: int) -> dict[str, Tensor]:
    """The tensors of a ResNet up to the model's last stage, by our names, from a classifier or a detector. Their names
    can have any prefix: `module.`, `backbone.0.body.`."""
    found = (name.removesuffix(FIRST) for name in tensors if name.endswith(FIRST))
    prefixes = [prefix for prefix in found if f"{prefix}{SECOND}" in tensors and not BLOCK.search(prefix)]
    if len(prefixes) != 1:
        some = " and ".join(f"{prefix}{FIRST}" for prefix in prefixes[:2])
        why = f"those of several ({some})" if prefixes else f"not the weights of a ResNet (there is no {FIRST})"
        raise WeightsError(f"{file}: {why}. {ALTERNATIVES}")
    unused = ("fc.", *(f"layer{stage}." for stage in range(last_stage + 1, 5)))
    plain = {name.removeprefix(prefixes[0]): tensor for name, tensor in tensors.items() if name.startswith(prefixes[0])}
    return {name: tensor for name, tensor in plain.items() if not name.startswith(unused)}


def _is_safetensors(file: Path) -> bool:
    """By its first bytes, the length of a JSON header and its beginning; by its suffix where it is too short."""
    try:
        with file.open("rb") as content:
            start = content.read(9)
    except OSError:
        start = b""
    return start[8:9] == b"{" or (file.suffix.lower() == ".safetensors" and not start.startswith(b"PK"))


def _counts(name: str) -> bool:
    """Whether this is the counter of a batch norm, which has no effect with frozen statistics; some files lack them."""
    return name.endswith("num_batches_tracked")


def read_backbone(file: Path) -> dict[str, Tensor]:
    """The tensors of a file of torchvision or timm, by the names in it. Raises WeightsError for any other file."""
    if _is_safetensors(file):
        return read_safetensors(file)
    try:
        content = read_pth(file)
    except WeightsError as error:
        raise WeightsError(f"{error}. {ALTERNATIVES}") from None
    for key in WRAPPERS:
        content = content.get(key, content) if isinstance(content, dict) else {}
    content = content if isinstance(content, dict) else {}
    if any(str(name).endswith("transformer.decoder.norm.weight") for name in content):
        raise WeightsError(
            f"{file}: a whole detector. Convert it once with `condetr convert {quoted(file)} DIR`, then use `init=DIR`"
        )
    return {name: tensor for name, tensor in content.items() if isinstance(name, str) and isinstance(tensor, Tensor)}
