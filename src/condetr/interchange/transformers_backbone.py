"""The backbone in transformers' config.json: a ResNet of timm or of transformers itself, whole or without last stages.

transformers 4 describes a timm network by `backbone`, `dilation` and `backbone_kwargs`, and its own ResNets by
`backbone_config`; version 5 writes a `backbone_config` for both.
"""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import WeightsError
from .fields import FIXED_EVERYWHERE, NO_EFFECT, Fixed, check_fields, refused

INNER_NO_EFFECT = NO_EFFECT | {
    "architectures", "id2label", "freeze_batch_norm_2d", "stage_names", "_out_features", "_out_indices",
}  # fmt: skip
OWN_STAGES = {4: 32, 3: 16, 2: 8}  # the strides of our backbones without their last stages
UNDILATED = ("resnet18", "resnet34")  # timm dilates a convolution of their blocks that ours do not
RESNETS = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
}
WIDTHS = {"basic": [64, 128, 256, 512], "bottleneck": [256, 512, 1024, 2048]}


def backbone_of(theirs: dict[str, Any], file: Path) -> dict[str, Any]:
    """`name`, `last_stage` and `stride` of our config. Raises WeightsError naming the field that we cannot follow."""
    inner, options = _mapping(theirs, "backbone_config", file), _mapping(theirs, "backbone_kwargs", file)
    if inner and options:
        raise refused(file, "backbone_kwargs", options, "backbone_config describes the backbone already")
    if inner.get("model_type") == "resnet":
        name, last_stage = _own_resnet(inner, file)
        output_stride = None
    else:
        if inner and inner.get("model_type") != "timm_backbone":
            reason = "condetr reads timm_backbone and resnet"
            raise refused(file, "backbone_config.model_type", inner.get("model_type"), reason)
        name = _name(inner.get("backbone") if inner else theirs.get("backbone") or "resnet50", file)
        last_stage, output_stride = _timm(inner or options, "backbone_config." if inner else "backbone_kwargs.", file)
    if inner and theirs.get("backbone") is not None and _name(theirs["backbone"], file) != name:
        raise refused(file, "backbone", theirs["backbone"], f"backbone_config describes {name}")
    dilated = output_stride == 16 and last_stage == 4
    if theirs.get("dilation") not in (None, False, True):
        raise refused(file, "dilation", theirs["dilation"], "it must be true or false")
    if theirs.get("dilation"):
        can = not inner and theirs.get("use_timm_backbone", True) and not options
        if not can and not dilated:
            raise refused(file, "dilation", theirs["dilation"], "the backbone's own settings do not dilate it")
        dilated = True
    if dilated and name in UNDILATED:
        raise WeightsError(f"{file}: {name} is dilated: timm's dilates a convolution that condetr's does not")
    return {"name": name, "last_stage": last_stage, "stride": 16 if dilated else OWN_STAGES[last_stage]}


def _mapping(theirs: dict[str, Any], key: str, file: Path) -> dict[str, Any]:
    value = theirs.get(key)
    if value is not None and not isinstance(value, dict):
        raise refused(file, key, value, "it must be an object")
    return value or {}


def _name(name: Any, file: Path) -> str:
    """Our name of `resnet50`, `resnet50.a1_in1k` (timm) or `microsoft/resnet-50` (the hub)."""
    known = re.fullmatch(r"(?:microsoft/resnet-|resnet)(18|34|50|101)(?:\.\w+)?", str(name))
    if known is None:
        raise WeightsError(f"{file}: backbone {name!r}; condetr reads weights with ResNet-18, 34, 50 and 101")
    return f"resnet{known[1]}"


def _timm(options: dict[str, Any], group: str, file: Path) -> tuple[int, int | None]:
    """The last stage and the output stride of a timm network."""
    read = {"model_type", "backbone", "out_indices", "out_features", "output_stride"}
    fixed: Fixed = {
        "in_chans": ((3,), "condetr reads images with 3 channels"),
        "num_channels": ((3,), "condetr reads images with 3 channels"),
        "features_only": ((True,), "condetr needs the features"),
    }
    check_fields(options, read, fixed | FIXED_EVERYWHERE, INNER_NO_EFFECT, file, group)
    last = _last_stage(options, group, "layer", file)
    stride = options.get("output_stride")
    if type(stride) not in (int, type(None)) or stride not in (None, 32, 16) or (stride == 16 and last != 4):
        raise refused(file, f"{group}output_stride", stride, "condetr reads 32, and 16 with all stages (DC5)")
    return last, stride


def _own_resnet(inner: dict[str, Any], file: Path) -> tuple[str, int]:
    """The name and the last stage of one of transformers' own ResNets."""
    group = "backbone_config."
    strided = "condetr's ResNets have their strides in the 3 × 3 convolutions of later stages"
    fixed: Fixed = {
        "num_channels": ((3,), "condetr reads images with 3 channels"),
        "embedding_size": ((64,), "condetr's ResNets begin with 64 channels"),
        "hidden_act": (("relu",), "condetr's ResNets have ReLU"),
        "downsample_in_first_stage": ((False,), strided),
        "downsample_in_bottleneck": ((False,), strided),
    }
    read = {"model_type", "depths", "layer_type", "hidden_sizes", "out_features", "out_indices"}
    check_fields(inner, read, fixed | FIXED_EVERYWHERE, INNER_NO_EFFECT, file, group)
    layer, depths = inner.get("layer_type", "bottleneck"), inner.get("depths", [3, 4, 6, 3])
    if not isinstance(layer, str) or layer not in WIDTHS:
        raise refused(file, f"{group}layer_type", layer, f"condetr reads {' and '.join(WIDTHS)}")
    name = RESNETS.get((layer, tuple(depths))) if isinstance(depths, list) and _are_numbers(depths) else None
    if name is None:
        reason = f"with layer_type={layer} this is not ResNet-18, 34, 50 or 101"
        raise refused(file, f"{group}depths", depths, reason)
    widths = inner.get("hidden_sizes", WIDTHS["bottleneck"])
    if widths != WIDTHS[layer]:
        raise refused(file, f"{group}hidden_sizes", widths, f"{name} has {WIDTHS[layer]}")
    return name, _last_stage(inner, group, "stage", file)


def _are_numbers(values: list[Any]) -> bool:
    return all(type(value) is int for value in values)


def _last_stage(options: dict[str, Any], group: str, stage: str, file: Path) -> int:
    """The stage whose features are used: the last of `out_indices` or `out_features`, by default stage 4."""
    found = set()
    for key, of in (("out_indices", _stage_of_index), ("out_features", lambda name: _stage_of_name(name, stage))):
        values = options.get(key)
        if values is None:
            continue
        number = of(values[-1]) if isinstance(values, list) and values else None
        if number not in OWN_STAGES:
            raise refused(file, group + key, values, "condetr uses the features of stage 4, 3 or 2")
        found.add(number)
    if len(found) > 1:
        raise refused(file, f"{group}out_features", options["out_features"], "out_indices names other stages")
    return found.pop() if found else 4


def _stage_of_index(index: Any) -> int | None:
    return None if type(index) is not int else index if index >= 0 else 5 + index  # 0 is the stem


def _stage_of_name(name: Any, stage: str) -> int | None:
    match = re.fullmatch(rf"{stage}(\d)", str(name))
    return int(match[1]) if match else None


# --- tensor names ---------------------------------------------------------------------------------------------------

STEM = r"embedder\.embedder\.(convolution|normalization)\."
BLOCK = r"encoder\.stages\.(\d)\.layers\.(\d+)\.(?:layer\.(\d)|(shortcut))\.(convolution|normalization)\."


def with_timm_names(state: dict[str, Tensor], last_stage: int) -> dict[str, Tensor]:
    """Weights in which the tensors of one of transformers' own ResNets have timm's names; others are unchanged.

    Such a ResNet has all its stages, also those after `last_stage`, whose features are not used: they are left out.
    """
    unused = re.compile(rf"encoder\.stages\.[{last_stage}-9]\.")  # they are numbered from 0
    return {
        re.sub(BLOCK, _block_name, re.sub(STEM, _stem_name, name)): tensor
        for name, tensor in state.items()
        if not unused.search(name)
    }


def _stem_name(match: re.Match[str]) -> str:
    return "conv1." if match[1] == "convolution" else "bn1."


def _block_name(match: re.Match[str]) -> str:
    stage, block, layer, shortcut, kind = match.groups()
    at = f"layer{int(stage) + 1}.{block}."
    if shortcut:
        return f"{at}downsample.{0 if kind == 'convolution' else 1}."
    return f"{at}{'conv' if kind == 'convolution' else 'bn'}{int(layer) + 1}."
