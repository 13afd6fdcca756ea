"""What a training starts from: ImageNet's backbone, a file's, nothing, or weights that already detect something."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from torch import Tensor

from .. import checkpoint
from ..build import build_detector
from ..checkpoint import Weights
from ..config import Config
from ..errors import ConfigError, WeightsError
from ..interchange import read_safetensors
from ..model.detector import Detector
from ..model.timm_backbone import TimmBackbone, hub_repository
from ..types import Categories

IMAGENET = "timm/{}.tv_in1k"  # torchvision's first ImageNet weights, which both papers start from
WAY_ON = "Go on with --init none, or --init FILE with a backbone's weights"
PREFIXES = ("", "module.", "backbone.", "backbone.0.body.", "model.", "backbone.conv_encoder.model.")


@dataclass(frozen=True, slots=True)
class Start:
    """A detector before its first step, and in words where it comes from and what could not be carried over."""

    detector: Detector
    notes: tuple[str, ...]


def start(config: Config, categories: Categories) -> Start:
    """Build the detector and fill it as `train.init` says. What is drawn depends on `train.seed` alone.

    Raises WeightsError when weights cannot be had or do not fit, with the way to go on.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        detector = build_detector(config.model, len(categories))
    init, backbone = config.train.init, config.model.backbone
    if init == "none":
        norm = "learned_batch" if backbone.timm_name else "channel"
        frozen = backbone.norm == "frozen_batch" or backbone.trains_from != "stem"
        warning = (f"the backbone starts from nothing, yet parts of it cannot learn: set model.backbone.norm={norm} "
                   "and model.backbone.trains_from=stem",)  # fmt: skip
        return Start(detector, ("everything starts from nothing", *(warning if frozen else ())))
    if init == "imagenet":
        repository = hub_repository(backbone.timm_name) if backbone.timm_name else _repository(backbone.name)
        return Start(detector, (fill_backbone(detector, _imagenet(repository), config),))
    if Path(init).is_file():
        return Start(detector, (fill_backbone(detector, Path(init), config),))
    weights = checkpoint.load(init)
    carried = carry_over(weights, detector, config, categories)
    return Start(detector, (f"starts from {init}: {carried.count} tensors carried over", *carried.left))


# --- a backbone -----------------------------------------------------------------------------------------------------


def _repository(name: str) -> str:
    if name == "nano":
        raise ConfigError(f"train.init=imagenet: there are no such weights for the {name} backbone. {WAY_ON}")
    return IMAGENET.format(name)


def _imagenet(repository: str) -> Path:
    try:
        # unlike the download of a single file, this gives up at once where there is no network
        return Path(snapshot_download(repository, allow_patterns=["model.safetensors"])) / "model.safetensors"
    except Exception as error:  # whatever a server, a proxy or a broken cache makes the client raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:100]
        raise WeightsError(f"{repository}: ImageNet weights cannot be fetched ({reason}). {WAY_ON}") from None


def fill_backbone(detector: Detector, file: Path, config: Config) -> str:
    """Put a backbone's weights (names as torchvision's and timm's) in; stages that the model does not have, and a
    classifier, are left out. Returns a line about it. Raises WeightsError naming the first tensor that does not fit."""
    theirs = _read_backbone(file)
    own = detector.backbone.state_dict()
    if isinstance(detector.backbone, TimmBackbone):
        theirs = detector.backbone.from_classifier(theirs)
    else:
        theirs = _of_resnet(theirs, config.model.backbone.last_stage, file)
    described = f"model.backbone {config.model.backbone.name}, norm {config.model.backbone.norm}"
    for name, tensor in own.items():
        if name not in theirs:
            raise WeightsError(f"{file}: {name} is missing, which {described} needs. {WAY_ON}")
        if theirs[name].shape != tensor.shape:
            shapes = f"{tuple(theirs[name].shape)}, not {tuple(tensor.shape)}"
            raise WeightsError(f"{file}: {name} has shape {shapes} as {described} needs. {WAY_ON}")
    if unknown := sorted(set(theirs) - set(own)):
        raise WeightsError(f"{file}: {unknown[0]} has no place in {described}. {WAY_ON}")
    detector.backbone.load_state_dict({name: theirs[name].to(tensor.dtype) for name, tensor in own.items()})
    return f"the backbone starts from {file}"


def _of_resnet(theirs: dict[str, Tensor], last_stage: int, file: Path) -> dict[str, Tensor]:
    """The tensors of a ResNet up to its last stage, by our names, from a classifier or a detector."""
    has_all: Callable[[str], bool] = lambda prefix: f"{prefix}conv1.weight" in theirs  # noqa: E731
    prefix = next((prefix for prefix in PREFIXES if has_all(prefix)), None)
    if prefix is None:
        raise WeightsError(f"{file}: no ResNet's weights (there is no conv1.weight). {WAY_ON}")
    theirs = {name.removeprefix(prefix): tensor for name, tensor in theirs.items() if name.startswith(prefix)}
    beyond = re.compile(r"fc\.|.*num_batches_tracked$|" + "|".join(
        rf"layer{stage}\." for stage in range(last_stage + 1, 5)) + "|$^")  # fmt: skip
    return {name: tensor for name, tensor in theirs.items() if not beyond.match(name)}


def _read_backbone(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        return read_safetensors(file)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the bytes make it raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{file}: not readable as weights alone ({reason[:120]}). {WAY_ON}") from None
    for key in ("state_dict", "model"):
        content = content.get(key, content) if isinstance(content, dict) else {}
    if "transformer.decoder.norm.weight" in content:
        raise WeightsError(f"{file}: a whole detector. Convert it once, then start from the folder: condetr convert")
    return {name: tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}


# --- a whole detector -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Carried:
    """`count` tensors were carried over whole; `left` says in words what was not, or only in part."""

    count: int
    left: tuple[str, ...]


@torch.no_grad()
def carry_over(weights: Weights, detector: Detector, config: Config, categories: Categories) -> Carried:
    """Carry into `detector` all that fits: tensors of the same name and shape, the rows of classes of the same name
    (and softmax's 'no object'), as many queries as both have. What is new keeps its fresh start."""
    theirs, own = weights.detector.state_dict(), detector.state_dict()
    same_scoring = weights.config.model.scoring.kind == config.model.scoring.kind
    count, absent, misfit, left = 0, [], [], []
    for name, tensor in own.items():
        source = theirs.get(name)
        if name in ("heads.classes.weight", "heads.classes.bias"):
            continue
        if source is None:
            absent.append(name)
        elif source.shape == tensor.shape:
            tensor.copy_(source)
            count += 1
        elif name in ("queries.weight", "reference.point") and source.shape[1:] == tensor.shape[1:]:
            rows = min(len(source), len(tensor))
            tensor[:rows] = source[:rows]
            left.append(f"{name}: {rows} of the weights' {len(source)} queries kept, {len(tensor) - rows} start fresh")
        else:
            misfit.append(name)
    left += _grouped("starts fresh (not in the weights)", absent)
    left += _grouped("starts fresh (of another shape in the weights)", misfit)
    left += _grouped("not used of the weights", [name for name in theirs if name not in own])
    return Carried(count, (*_carry_classes(weights, detector, categories, same_scoring), *left))


def _grouped(what: str, names: list[str]) -> list[str]:
    """A line for each layer or part: `decoder.layers.5 (26 tensors)`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        layer = re.match(r".*?\.\d+(?=\.)", name)
        groups.setdefault(layer[0] if layer else name.rpartition(".")[0], []).append(name)
    return [
        f"{what}: {group} ({len(members)} tensors)" if len(members) > 1 else f"{what}: {members[0]}"
        for group, members in groups.items()
    ]


def _carry_classes(weights: Weights, detector: Detector, categories: Categories, same_scoring: bool) -> tuple[str, ...]:
    theirs, own = weights.detector.heads.classes, detector.heads.classes
    if not same_scoring or theirs.weight.shape[1] != own.weight.shape[1]:
        return ("starts fresh: all classes (another scoring or width than the weights')",)
    rows = {_plain(name): row for row, name in enumerate(weights.categories.names) if name is not None}
    fresh = []
    for label in categories.real:
        row = rows.get(_plain(categories.name(label)))
        if row is None:
            fresh.append(categories.name(label))
            continue
        own.weight[label], own.bias[label] = theirs.weight[row], theirs.bias[row]
    if len(own.bias) > len(categories):  # softmax's 'no object', the last row
        own.weight[-1], own.bias[-1] = theirs.weight[-1], theirs.bias[-1]
    kept = len(categories.real) - len(fresh)
    lines = [f"{kept} of {len(categories.real)} classes carried over by name"]
    return (*lines, *([f"classes that start fresh: {', '.join(fresh)}"] if fresh else []))


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
