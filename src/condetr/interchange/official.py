"""The `.pth` files of the two official repositories, read without running anything in them."""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from .. import config, recipes
from ..errors import WeightsError
from ..model.detector import Detector
from ..types import Categories
from . import published
from .coco_slots import coco_categories
from .loading import config_of, load

CLASSES, QUERIES, BODY = "class_embed.weight", "query_embed.weight", "backbone.0.body."  # names in the official code


def read_official(file: Path, recipe: str | None) -> tuple[Detector, config.Config, Categories]:
    """A `.pth` of either official repository. Only tensors, and an argparse.Namespace, are read: no code is run.

    The architecture is read from the tensors, except for DC5, which does not change them: that is read from
    `args.dilation` where the file has it, else from `recipe` (a recipe's name), else from 'dc5' in the file's name.
    """
    if file.exists() and not file.stat().st_size:
        raise WeightsError(f"{file}: an empty file. Download or copy it again")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{file}: no such file") from None
    except Exception:  # torch.load raises whatever the bytes make it raise; its sentences recommend unsafe loading
        raise WeightsError(
            f"{file}: not a file of weights (.pth): it is damaged, of another kind, or would run code when read"
        ) from None
    state = content.get("model", content) if isinstance(content, dict) else {}
    state = state if isinstance(state, dict) else {}
    state = {k: v for k, v in state.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if published.dialect_of(state) != "official":
        raise WeightsError(f"{file}: not a checkpoint of DETR's or Conditional DETR's official code")
    for name in (CLASSES, QUERIES):
        if name not in state or state[name].ndim != 2 or not len(state[name]):
            raise WeightsError(f"{file}: {name} is missing or not a matrix. The checkpoint is incomplete")
    if recipe is None:
        dilation = bool(getattr(content.get("args"), "dilation", "dc5" in file.name.lower()))
        base = recipes.recipe("conditional_detr_r50" if published.conditional(state) else "detr_r50").model
        model = _adapted(base, state, dilation, file)
    else:
        model = recipes.recipe(recipe).model
    logits = state[CLASSES].shape[0]
    classes = logits - 1 if model.scoring.kind == "softmax" else logits
    if classes < 1:
        raise WeightsError(f"{file}: {CLASSES} has {logits} rows, too few for a class")
    plain = Categories(tuple(range(classes)), tuple(f"class {i}" for i in range(classes)))
    categories = coco_categories() if classes == 91 else plain
    detector = load(state, model, classes, file)
    return detector, config_of(model, None), categories


def _adapted(base: config.Model, state: dict[str, Tensor], dilation: bool, file: Path) -> config.Model:
    """The published model with the backbone and the number of queries that the tensors have."""
    blocks = [sum(f"{BODY}layer{s}.{i}.conv1.weight" in state for i in range(32)) for s in (1, 2, 3, 4)]
    bottleneck = f"{BODY}layer1.0.conv3.weight" in state
    known = [
        ("resnet18", False, [2, 2, 2, 2]),
        ("resnet34", False, [3, 4, 6, 3]),
        ("resnet50", True, [3, 4, 6, 3]),
        ("resnet101", True, [3, 4, 23, 3]),
    ]
    name = next((n for n, *shape in known if shape == [bottleneck, blocks]), None)
    if name is None:
        raise WeightsError(f"{file}: its backbone with {blocks} blocks is not ResNet-18, 34, 50 or 101")
    backbone = {"name": name, "stride": 16 if dilation else 32}
    values = base.model_dump() | {"backbone": backbone, "queries": state[QUERIES].shape[0]}
    return config.parse({"model": values}, str(file)).model
