"""What a training starts from: a backbone pretrained on ImageNet, random weights, or the weights of a detector."""

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .. import checkpoint
from ..build import build_detector
from ..checkpoint import Weights
from ..config import Config
from ..errors import ConfigError, WeightsError
from ..files import quoted
from ..interchange import read_pth, read_safetensors
from ..interchange.hub import download, is_repository, reason
from ..model.detector import Detector
from ..model.reference import Anchors
from ..model.timm_backbone import TimmBackbone, hub_repository
from ..plural import counted
from ..shapes import Float
from ..suggestions import missing_folder
from ..types import Categories

IMAGENET = "timm/{}.tv_in1k"  # torchvision's V1 weights, which both papers start from
ALTERNATIVES = "Use `init=FILE` with a backbone's weights, or `recipe='nano'`, which trains from scratch"
PREFIXES = ("", "module.", "backbone.", "backbone.0.body.", "model.", "backbone.conv_encoder.model.")


@dataclass(frozen=True, slots=True)
class Start:
    """An initialised detector, and lines about where its weights come from and which of them could not be loaded."""

    detector: Detector
    notes: tuple[str, ...]


def start(
    config: Config, categories: Categories, resumed: bool = False, sizes: Float[Tensor, "M 2"] | None = None
) -> Start:
    """Build the detector and initialise it as `train.init` says. Random weights depend on `train.seed` alone. For a run
    that is `resumed` nothing is loaded: its state has all weights.

    Anchors, if the detector has them, start with the sizes of the training boxes: `sizes`, relative (w, h).

    Raises WeightsError, with the alternatives, when weights are not found or do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        detector = build_detector(config.model, len(categories))
        match detector.reference:
            case Anchors() as anchors if sizes is not None and len(sizes):
                anchors.spread(sizes)
    init, backbone = config.train.init, config.model.backbone
    if resumed:
        return Start(detector, ())
    if init == "none":
        norm = "learned_batch" if backbone.timm_name else "channel"
        frozen = backbone.norm == "frozen_batch" or backbone.trains_from != "stem"
        warning = (f"the backbone is randomly initialised, but parts of it are frozen: set model.backbone.norm={norm} "
                   "and model.backbone.trains_from=stem",)  # fmt: skip
        return Start(detector, ("all weights are randomly initialised", *(warning if frozen else ())))
    name, _, revision = init.partition("@")
    if name == "imagenet":
        repository = hub_repository(backbone.timm_name) if backbone.timm_name else _repository(backbone.name)
        load_backbone(detector, _imagenet(repository, revision or None), config)
        return Start(detector, (f"backbone initialised from {repository}{'@' * bool(revision)}{revision}",))
    if Path(init).is_file():
        return Start(detector, (load_backbone(detector, Path(init), config),))
    if not Path(init).exists() and not is_repository(init) and missing_folder(init) is None:
        raise WeightsError(f"{init}: no such file or folder, and not a hub repository (owner/name)")
    weights = checkpoint.load(init)
    loaded = load_matching(weights, detector, config, categories)
    return Start(detector, (f"initialised from {init}: {counted(loaded.count, 'tensor')} loaded", *loaded.notes))


def check_random_start(config: Config) -> None:
    """Raises ConfigError where training from scratch would leave randomly initialised parts of the backbone frozen."""
    backbone = config.model.backbone
    if config.train.init == "none" and (backbone.norm == "frozen_batch" or backbone.trains_from != "stem"):
        norm = "learned_batch" if backbone.timm_name else "channel"
        raise ConfigError(
            "parts of the backbone are frozen and would stay random. To train from scratch use `recipe='nano'`, or add "
            f"`settings={{'model.backbone.norm': '{norm}', 'model.backbone.trains_from': 'stem'}}`",
            setting="train.init", value="none",
        )  # fmt: skip


# --- a backbone -----------------------------------------------------------------------------------------------------


def _repository(name: str) -> str:
    if name == "nano":
        reason = f"there are no ImageNet weights for the backbone {name}. Use `init='none'`"
        raise ConfigError(reason, setting="train.init", value="imagenet")
    return IMAGENET.format(name)


def _imagenet(repository: str, revision: str | None) -> Path:
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
    expected = detector.backbone.state_dict()
    described = f"model.backbone {config.model.backbone.name}, norm {config.model.backbone.norm}"
    for name, tensor in expected.items():
        if name not in tensors:
            raise WeightsError(f"{file}: {name} is missing, which {described} needs. {ALTERNATIVES}")
        if tensors[name].shape != tensor.shape:
            shapes = f"{tuple(tensors[name].shape)}, not {tuple(tensor.shape)}"
            raise WeightsError(f"{file}: {name} has shape {shapes} as {described} needs. {ALTERNATIVES}")
    if unknown := sorted(set(tensors) - set(expected)):
        raise WeightsError(f"{file}: {unknown[0]} is not part of {described}. {ALTERNATIVES}")
    detector.backbone.load_state_dict({name: tensors[name].to(tensor.dtype) for name, tensor in expected.items()})
    return f"backbone initialised from {file}"


def _resnet_tensors(tensors: dict[str, Tensor], file: Path, last_stage: int) -> dict[str, Tensor]:
    """The tensors of a ResNet up to the model's last stage, by our names, from a classifier or a detector."""
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}conv1.weight" in tensors), None)
    if prefix is None:
        raise WeightsError(f"{file}: not the weights of a ResNet (there is no conv1.weight). {ALTERNATIVES}")
    unused = ("fc.", *(f"layer{stage}." for stage in range(last_stage + 1, 5)))
    plain = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return {
        name: tensor
        for name, tensor in plain.items()
        if not name.startswith(unused) and not name.endswith("num_batches_tracked")
    }


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


# --- a whole detector -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loaded:
    """`count` tensors were loaded completely; `notes` are lines about those that were not, or only in part."""

    count: int
    notes: tuple[str, ...]


@torch.no_grad()
def load_matching(weights: Weights, detector: Detector, config: Config, categories: Categories) -> Loaded:
    """Load into `detector` what fits: tensors of the same name and shape, the rows of classes of the same name (and
    of softmax's 'no object'), and as many queries as both have. The rest stays randomly initialised."""
    theirs, own = weights.detector.state_dict(), detector.state_dict()
    # all scorings but softmax have a sigmoid for each class
    same_scoring = (weights.config.model.scoring.kind == "softmax") == (config.model.scoring.kind == "softmax")
    count, missing, mismatched, notes = 0, [], [], []
    if len({one.model.decoder.kind == "refining" for one in (config, weights.config)}) == 2:
        del theirs["queries.weight"]  # of one they are object queries, of the other the first embeddings
    for name, tensor in own.items():
        source = theirs.get(name)
        if name in ("heads.classes.weight", "heads.classes.bias"):
            continue
        if source is None:
            missing.append(name)
        elif source.shape == tensor.shape:
            tensor.copy_(source)
            count += 1
        elif name in ("queries.weight", "reference.point", "reference.box") and source.shape[1:] == tensor.shape[1:]:
            rows = min(len(source), len(tensor))
            tensor[:rows] = source[:rows]
            new = len(tensor) - rows
            notes.append(f"{name}: {rows} of {counted(len(source), 'query')} loaded, {new} randomly initialised")
        else:
            mismatched.append(name)
    notes += _grouped("randomly initialised (not in the weights)", missing)
    notes += _grouped("randomly initialised (another shape in the weights)", mismatched)
    notes += _grouped("in the weights but not in the model", [name for name in theirs if name not in own])
    return Loaded(count, (*_load_classes(weights, detector, categories, same_scoring), *notes))


def _grouped(what: str, names: list[str]) -> list[str]:
    """One line for each layer or part, as `decoder.layers.5 (26 tensors)`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        layer = re.match(r".*?\.\d+(?=\.)", name)
        groups.setdefault(layer[0] if layer else name.rpartition(".")[0], []).append(name)
    return [
        f"{what}: {group} ({len(members)} tensors)" if len(members) > 1 else f"{what}: {members[0]}"
        for group, members in groups.items()
    ]


def _load_classes(weights: Weights, detector: Detector, categories: Categories, same_scoring: bool) -> tuple[str, ...]:
    theirs, own = weights.detector.heads.classes, detector.heads.classes
    if not same_scoring or theirs.weight.shape[1] != own.weight.shape[1]:
        return ("randomly initialised: all classes (the weights have another scoring or width)",)
    rows = {_plain(name): row for row, name in enumerate(weights.categories.names) if name is not None}
    new = []
    for label in categories.real:
        row = rows.get(_plain(categories.name(label)))
        if row is None:
            new.append(categories.name(label))
            continue
        own.weight[label], own.bias[label] = theirs.weight[row], theirs.bias[row]
    if len(own.bias) > len(categories):  # softmax's 'no object', the last row
        own.weight[-1], own.bias[-1] = theirs.weight[-1], theirs.bias[-1]
    kept = len(categories.real) - len(new)
    lines = [f"{kept} of {counted(len(categories.real), 'class')} loaded by name"]
    return (*lines, *([f"classes randomly initialised: {', '.join(new)}"] if new else []))


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
