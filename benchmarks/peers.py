"""transformers' Conditional DETR with the same weights as ours, for comparisons."""

import importlib.util
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from condetr import recipes
from condetr.build import build_detector
from condetr.config import Config
from condetr.interchange import coco_categories, write_transformers
from condetr.model.detector import Detector
from condetr.model.norms import FrozenBatchNorm
from condetr.types import Images


def detector(recipe: str) -> tuple[Detector, Config]:
    """Not trained, but with norms as a trained backbone has them, so that activations keep their size in all layers."""
    torch.manual_seed(0)
    config = recipes.recipe(recipe)
    ours = build_detector(config.model, len(coco_categories())).eval()
    for module in ours.modules():
        if isinstance(module, FrozenBatchNorm):
            module.running_var.uniform_(1.5, 3.0)
            module.weight.uniform_(0.5, 1.0)
            module.bias.normal_(0.0, 0.1)
    for parameter in ours.heads.box.parameters():  # initialised with zeros, with which all boxes are the same
        nn.init.normal_(parameter, 0.0, 0.1)
    return ours, config


def transformers_of(ours: Detector, config: Config, supervised: bool) -> nn.Module:
    """The same weights in transformers; `supervised` adds predictions and losses of all decoder layers."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    declare_operators()
    from transformers import AutoModelForObjectDetection
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        write_transformers(Path(folder), ours, config, coco_categories(), "of a benchmark\n")
        return AutoModelForObjectDetection.from_pretrained(folder, auxiliary_loss=supervised).eval()


def declare_operators() -> None:
    """transformers' backbone imports torchvision, whose ordinary wheel fails with a CPU torch without two operators.
    Where its operators can be loaded, they are."""
    found = importlib.util.find_spec("torchvision")
    for extension in Path(found.origin).parent.glob("_C*") if found and found.origin else ():
        with suppress(OSError):  # made for a torch with CUDA
            torch.ops.load_library(extension)
    if not hasattr(torch.ops.torchvision, "nms"):
        operators = torch.library.Library("torchvision", "DEF")
        operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        KEPT.append(operators)


KEPT: list[Any] = []  # operators exist as long as the library that defined them


def as_they_take(images: Images) -> dict[str, Any]:
    return {"pixel_values": images.pixels, "pixel_mask": (~images.padding).long()}
