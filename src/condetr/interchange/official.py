"""The `.pth` files of the two official repositories, read without running anything in them."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import config, recipes
from ..errors import WeightsError
from ..model.detector import Detector
from ..plural import counted
from ..types import Categories
from . import published
from .coco_slots import coco_categories
from .fields import Fixed, refused
from .loading import MASK_HEAD, check_content, config_of, load

CLASSES, QUERIES, BODY = "class_embed.weight", "query_embed.weight", "backbone.0.body."  # names in the official code
ENCODER, DECODER = "transformer.encoder.layers.{}.norm1.weight", "transformer.decoder.layers.{}.norm1.weight"
HIDDEN = "transformer.decoder.layers.0.linear1.weight"
WRAPPER = "module."  # the prefix of names that were saved from a model for several processes
ARGUMENTS: Fixed = {
    "pre_norm": ((None, False), "condetr's layers have their norms after the addition"),
    "position_embedding": ((None, "sine", "v2"), "condetr's image positions are sine embeddings"),
    "masks": ((None, False), "condetr reads detectors without a mask head"),
    "frozen_weights": ((None,), "condetr reads detectors without a mask head"),
    "dilation": ((None, False, True), "it must be true or false"),
    "activation": ((None, "relu"), "condetr's feed-forward networks have ReLU"),
}


def read_pth(file: Path) -> Any:
    """What a `.pth` file holds: tensors, plain values and an argparse.Namespace; no code is run.

    Raises WeightsError, with one reason for all files that are not of this kind.
    """
    try:
        check_content(file)
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{file}: no such file") from None
    except PermissionError as error:
        raise WeightsError(f"{file}: cannot be read ({error.strerror})") from None
    except WeightsError:
        raise
    except Exception:  # torch.load raises whatever the bytes make it raise; its sentences recommend unsafe loading
        if file.suffix.lower() in {".onnx", ".xml"}:
            raise WeightsError(
                f"{file}: an exported file. Give the folder of weights that it was exported from"
            ) from None
        raise WeightsError(
            f"{file}: not a file of weights (.pth): it is damaged, of another kind, or would run code when read"
        ) from None


def read_official(file: Path, recipe: str | None) -> tuple[Detector, config.Config, Categories]:
    """A `.pth` of either official repository. Only tensors, and an argparse.Namespace, are read: no code is run.

    The architecture is read from the tensors and from `args`, a Namespace or a dict, where the file has it. The tensors
    tell neither the number of heads nor DC5: they are read from `args.nheads` and `args.dilation`, else from `recipe`
    (a recipe's name). Without both, a model of the published width has 8 heads, and it is DC5 if 'dc5' is in the
    file's name. Raises WeightsError for a file that does not fit these descriptions.
    """
    content = read_pth(file)
    state = content.get("model", content) if isinstance(content, dict) else {}
    state = state if isinstance(state, dict) else {}
    state = {k.removeprefix(WRAPPER): v for k, v in state.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if any(name.startswith(MASK_HEAD) for name in state):
        raise WeightsError(f"{file}: a checkpoint with a mask head (segmentation); condetr reads detectors without one")
    if published.dialect_of(state) != "official":
        raise WeightsError(f"{file}: not a checkpoint of DETR's or Conditional DETR's official code")
    for name in (CLASSES, QUERIES, HIDDEN):
        if name not in state or state[name].ndim != 2 or not len(state[name]):
            raise WeightsError(f"{file}: {name} is missing or not a matrix. The checkpoint is incomplete")
    model = _model(state, _arguments(content, file), file, recipe)
    logits = state[CLASSES].shape[0]
    classes = logits - 1 if model.scoring.kind == "softmax" else logits
    if classes < 1:
        raise WeightsError(f"{file}: {CLASSES} has {counted(logits, 'row')}, too few for a class")
    plain = Categories(tuple(range(classes)), tuple(f"class {i}" for i in range(classes)))
    categories = coco_categories() if classes == 91 else plain
    detector = load(state, model, classes, file, "its other tensors")
    return detector, config_of(model, {}, str(file)), categories


def _arguments(content: Any, file: Path) -> dict[str, Any]:
    """The settings of the training that wrote the file, where it has them. Raises WeightsError for another model."""
    given = content.get("args") if isinstance(content, dict) else None
    found = vars(given) if isinstance(given, argparse.Namespace) else given if isinstance(given, Mapping) else {}
    arguments = {str(name): value for name, value in found.items()}
    for name, (fitting, reason) in ARGUMENTS.items():
        if arguments.get(name) not in fitting:
            raise refused(file, f"args.{name}", arguments[name], reason)
    return arguments


def _model(state: dict[str, Tensor], arguments: dict[str, Any], file: Path, recipe: str | None) -> config.Model:
    """The published model with the backbone, widths, layers and queries of the tensors, and the heads of `args`."""
    fitting = "conditional_detr_r50" if published.conditional(state) else "detr_r50"
    base = recipes.recipe(fitting).model
    named = None if recipe is None else recipes.recipe(recipe).model
    if named is not None and named.decoder.kind != base.decoder.kind:
        raise WeightsError(f"{file}: recipe={recipe}: the file has another decoder, such as that of {fitting}")
    dim = state[QUERIES].shape[1]
    heads = arguments.get("nheads")
    if heads is None:
        if named is None and dim != base.dim:
            raise WeightsError(
                f"{file}: args.nheads is missing, and tensors of {dim} channels do not tell the number of heads. If it "
                f"is {base.heads}: `recipe={fitting!r}`. Otherwise save the file with it: 'args': {{'nheads': …}}"
            )
        heads = (named or base).heads
    if type(heads) is not int or heads < 1 or dim % heads:
        raise WeightsError(f"{file}: args.nheads={heads!r}: {dim} channels cannot be split into so many heads")
    dilation = arguments.get("dilation")
    if named is not None and dilation not in (None, named.backbone.dilated):
        raise refused(file, "args.dilation", dilation, f"recipe={recipe} names a model that differs in it (DC5)")
    if dilation is None:
        dilation = named.backbone.dilated if named else "dc5" in file.name.lower()
    backbone = _resnet(state, file)
    if dilation and backbone in ("resnet18", "resnet34"):
        raise WeightsError(f"{file}: a dilated {backbone} (DC5): the official code has none. Is args.dilation right?")
    values = base.model_dump() | {
        "backbone": base.backbone.model_dump() | {"name": backbone, "stride": 16 if dilation else 32},
        "dim": dim,
        "heads": heads,
        "hidden": state[HIDDEN].shape[0],
        "encoder_layers": _layers(state, ENCODER),
        "decoder_layers": _layers(state, DECODER),
        "queries": state[QUERIES].shape[0],
        "dropout": arguments.get("dropout", base.dropout),
    }
    return config.parse({"model": values}, str(file)).model


def _layers(state: dict[str, Tensor], name: str) -> int:
    return sum(name.format(i) in state for i in range(64))


def _resnet(state: dict[str, Tensor], file: Path) -> str:
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
    return name
