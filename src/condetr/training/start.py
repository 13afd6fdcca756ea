"""What a training starts from: a backbone pretrained on ImageNet, random weights, or the weights of a detector."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .. import checkpoint
from ..arguments import check_path
from ..build import build_detector
from ..config import Config
from ..errors import ConfigError, WeightsError
from ..interchange.hub import is_repository
from ..model.detector import Detector
from ..model.reference import Anchors
from ..plural import counted
from ..shapes import Float
from ..suggestions import missing_folder
from ..types import Categories
from .matching_weights import load_matching
from .pretrained_backbone import imagenet_file, imagenet_repository, load_backbone, read_backbone


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
    init = config.train.init
    if resumed:
        return Start(detector, ())
    if init == "none":
        return Start(detector, ("all weights are randomly initialised",))
    name, _, revision = init.partition("@")
    if name == "imagenet":
        repository = imagenet_repository(config.model.backbone)
        load_backbone(detector, imagenet_file(repository, revision or None), config)
        return Start(detector, (f"backbone initialised from {repository}{'@' * bool(revision)}{revision}",))
    if _is_file(init):
        return Start(detector, (load_backbone(detector, Path(init), config),))
    weights = checkpoint.load(init)
    loaded = load_matching(weights, detector, config, categories)
    return Start(detector, (f"initialised from {init}: {counted(loaded.count, 'tensor')} loaded", *loaded.notes))


def find_start(config: Config) -> None:
    """Check that the weights are there which a new run starts from, and download them, before the images are read.
    Raises WeightsError, with the alternatives, where they are not."""
    init = config.train.init
    name, _, revision = init.partition("@")
    if name == "imagenet":
        imagenet_file(imagenet_repository(config.model.backbone), revision or None)
    elif init != "none" and _is_file(init):
        read_backbone(Path(init))
    elif init != "none":
        checkpoint.load_config(init)


def _is_file(init: str) -> bool:
    """Whether this is a backbone's file. Raises WeightsError for what is neither a file, a folder nor a repository."""
    check_path(Path(init), WeightsError)
    if not Path(init).exists() and not is_repository(init) and missing_folder(init) is None:
        raise WeightsError(f"{init}: no such file or folder, and not a hub repository (owner/name)")
    return Path(init).is_file()


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
