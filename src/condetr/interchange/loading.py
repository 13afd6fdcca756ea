"""JSON and safetensors files to a detector: every tensor is assigned, or the first that does not fit is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from .. import config, recipes
from ..build import build_detector
from ..errors import WeightsError
from ..model.detector import Detector
from . import published

MASK_HEAD = ("mask_head.", "bbox_attention.")


def read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{file}: no such file. A weights folder holds config.json and model.safetensors") from None
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{file}: cannot be read ({error})") from None
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{file}: not valid JSON ({error})") from None
    if not isinstance(content, dict):
        raise WeightsError(f"{file}: a JSON object was expected, found {type(content).__name__}")
    return content


def read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        check_content(file)
        return load_file(file)
    except FileNotFoundError:
        raise WeightsError(f"{file}: no such file. A weights folder holds config.json and model.safetensors") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{file}: not a complete safetensors file ({error}). Download or copy it again") from None


def check_content(file: Path) -> None:
    """Raises WeightsError for what is often found in the place of a large file: nothing, a pointer, a web page."""
    with file.open("rb") as content:
        start = content.read(64).lstrip().lower()
    if not start:
        raise WeightsError(f"{file}: an empty file. Download or copy it again")
    if start.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{file}: a pointer of Git LFS in place of the file. Run `git lfs pull` in its repository")
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise WeightsError(f"{file}: a web page in place of the file. Download the file itself")


def fit(
    detector: Detector,
    state: dict[str, Tensor],
    file: Path,
    name_in_file: Callable[[str], str] = str,
    source: str = "config.json",
) -> None:
    """Put weights of our names into a detector built on the meta device; the first that does not fit is named.

    In errors a tensor has the name that `name_in_file` returns, and `source` is what describes the model.
    """
    own = detector.state_dict()
    for name, tensor in state.items():
        shown = name_in_file(name)
        if name not in own:
            raise WeightsError(f"{file}: {shown} belongs to another model than that of {source}")
        if own[name].shape != tensor.shape:
            expected = f"{tuple(own[name].shape)} was expected from {source}"
            raise WeightsError(f"{file}: {shown} has shape {tuple(tensor.shape)}, {expected}")
        if tensor.is_floating_point() != own[name].is_floating_point():
            expected = "a floating point type" if own[name].is_floating_point() else "an integer type"
            raise WeightsError(f"{file}: {shown} is {tensor.dtype}, {expected} was expected")
    missing = [name for name in own if name not in state]
    if missing:
        more = f" (and {len(missing) - 1} more)" * (len(missing) > 1)
        raise WeightsError(f"{file}: {name_in_file(missing[0])} is missing{more}")
    detector.load_state_dict(
        {name: _in_our_type(tensor, own[name].dtype) for name, tensor in state.items()}, assign=True
    )


def _in_our_type(tensor: Tensor, own: torch.dtype) -> Tensor:
    """In float32, whatever the default dtype is, or in the integer type of ours."""
    return tensor.to(torch.float32 if own.is_floating_point else own)


def dialect_of(state: dict[str, Tensor], file: Path) -> published.Dialect:
    """Whose names these are. Raises WeightsError for those of no published detector."""
    if masks := [name for name in state if name.startswith(MASK_HEAD)]:
        raise WeightsError(f"{file}: {masks[0]}: a mask head (segmentation); condetr reads detectors without one")
    dialect = published.dialect_of(state)
    if dialect is None:
        raise WeightsError(f"{file}: its tensor names are neither DETR's nor Conditional DETR's")
    return dialect


def load(state: dict[str, Tensor], model: config.Model, classes: int, file: Path, source: str) -> Detector:
    """The detector of published weights. `source` is what describes its model, as errors name it."""
    dialect = dialect_of(state, file)
    with torch.device("meta"):
        detector = build_detector(model, classes)
    read = published.read(state, dialect, detector.state_dict())
    if read.unexpected:
        raise WeightsError(f"{file}: {read.unexpected[0]} belongs to another model than that of {source}")
    is_conditional = published.conditional(state)

    def name_in_file(ours: str) -> str:
        place = published.place(ours, dialect, is_conditional)
        return ours if place is None else place.name

    fit(detector, read.state, file, name_in_file, source)
    return detector


def config_of(model: config.Model, images: dict[str, int | float], source: str) -> config.Config:
    """The whole config of published weights: the recipe with this model, or the paper's recipe for its kind.

    `images` are settings of `data` that the weights bring with them.
    """
    name = recipes.matching(model)
    paper = "detr_r50" if model.decoder.kind == "detr" else "conditional_detr_r50"
    base = recipes.recipe(name if name != "custom" else paper)
    values = base.model_dump() | {"recipe": name, "model": model.model_dump()}
    values["data"] |= images
    return config.parse(values, source)
