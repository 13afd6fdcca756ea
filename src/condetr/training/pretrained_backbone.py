"""The weights of a backbone that is pretrained on ImageNet: from the hub, or from a file of torchvision or timm."""

from pathlib import Path

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
PREFIXES = ("", "module.", "backbone.", "backbone.0.body.", "model.", "backbone.conv_encoder.model.")


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
    tensors = _read_backbone(file)
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
    if unknown := sorted(name for name in set(tensors) - set(expected) if not _counts(name)):
        raise WeightsError(f"{file}: {unknown[0]} is not part of {described}. {ALTERNATIVES}")
    loaded = {name: tensors[name].to(tensor.dtype) for name, tensor in expected.items()}
    detector.backbone.load_state_dict(loaded, strict=False)  # without the counters
    return f"backbone initialised from {file}"


def _resnet_tensors(tensors: dict[str, Tensor], file: Path, last_stage: int) -> dict[str, Tensor]:
    """The tensors of a ResNet up to the model's last stage, by our names, from a classifier or a detector."""
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}conv1.weight" in tensors), None)
    if prefix is None:
        raise WeightsError(f"{file}: not the weights of a ResNet (there is no conv1.weight). {ALTERNATIVES}")
    unused = ("fc.", *(f"layer{stage}." for stage in range(last_stage + 1, 5)))
    plain = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return {name: tensor for name, tensor in plain.items() if not name.startswith(unused)}


def _counts(name: str) -> bool:
    """Whether this is the counter of a batch norm, which has no effect with frozen statistics; some files lack them."""
    return name.endswith("num_batches_tracked")


def _read_backbone(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        return read_safetensors(file)
    try:
        content = read_pth(file)
    except WeightsError as error:
        raise WeightsError(f"{error}. {ALTERNATIVES}") from None
    for key in ("state_dict", "model"):
        content = content.get(key, content) if isinstance(content, dict) else {}
    content = content if isinstance(content, dict) else {}
    if any(str(name).endswith("transformer.decoder.norm.weight") for name in content):
        raise WeightsError(
            f"{file}: a whole detector. Convert it once with `condetr convert {quoted(file)} DIR`, then use `init=DIR`"
        )
    return {name: tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}
