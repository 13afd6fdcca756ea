"""Folders of transformers, read and written: both model types, names of version 4 and 5."""

import json
import re
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from .. import config, recipes
from ..errors import WeightsError
from ..files import replacing, write_text
from ..model.detector import Detector
from ..types import Categories
from . import published
from .coco_slots import coco_categories
from .loading import config_of, load, read_json, read_safetensors

KINDS = ("conditional_detr", "detr")


def read_transformers(folder: Path) -> tuple[Detector, config.Config, Categories]:
    """A folder in transformers' layout: config.json (with a model_type) and model.safetensors."""
    file = folder / "config.json"
    theirs = read_json(file)
    model = _model_of(theirs, file)
    categories = _categories_of(theirs, file)
    state = read_safetensors(folder / "model.safetensors")
    detector = load(state, model, len(categories), folder / "model.safetensors")
    return detector, config_of(model, folder / "preprocessor_config.json"), categories


def _model_of(theirs: dict[str, Any], file: Path) -> config.Model:
    kind = theirs.get("model_type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise WeightsError(f"{file}: model_type is {kind!r}; condetr reads {' and '.join(KINDS)}")
    inner = _mapping(theirs, "backbone_config", file)
    name = theirs.get("backbone") or inner.get("backbone") or _hf_resnet(inner) or "resnet50"
    known = re.fullmatch(r"(?:microsoft/)?resnet[-_]?(18|34|50|101)(?:[._].*)?", str(name))
    if known is None:
        raise WeightsError(f"{file}: backbone {name!r}; condetr reads weights with ResNet-18, 34, 50 and 101")
    stride = (_mapping(theirs, "backbone_kwargs", file) or inner).get("output_stride")
    dilation = bool(theirs.get("dilation")) or stride == 16
    is_conditional = kind == "conditional_detr"
    base = recipes.recipe("conditional_detr_r50" if is_conditional else "detr_r50").model
    for own, other in (("encoder_attention_heads", "decoder_attention_heads"), ("encoder_ffn_dim", "decoder_ffn_dim")):
        if theirs.get(own, 0) != theirs.get(other, 0):
            raise WeightsError(f"{file}: {own} and {other} differ; condetr has one number for both")
    values = base.model_dump() | {
        "backbone": {"name": f"resnet{known[1]}", "stride": 16 if dilation else 32},
        "dim": theirs.get("d_model", 256),
        "heads": theirs.get("encoder_attention_heads", 8),
        "hidden": theirs.get("encoder_ffn_dim", 2048),
        "encoder_layers": theirs.get("encoder_layers", 6),
        "decoder_layers": theirs.get("decoder_layers", 6),
        "queries": theirs.get("num_queries", 300 if is_conditional else 100),
        "dropout": theirs.get("dropout", 0.1),
    }
    return config.parse({"model": values}, str(file)).model


def _mapping(theirs: dict[str, Any], key: str, file: Path) -> dict[str, Any]:
    value = theirs.get(key) or {}
    if not isinstance(value, dict):
        raise WeightsError(f"{file}: {key} must be an object, not {type(value).__name__}")
    return value


def _hf_resnet(inner: dict[str, Any]) -> str | None:
    """The name of a transformers ResNet from its depths."""
    sizes = {(2, 2, 2, 2): "resnet18", (3, 4, 23, 3): "resnet101"}
    depths = tuple(inner["depths"]) if isinstance(inner.get("depths"), list) else ()
    if depths == (3, 4, 6, 3):
        return "resnet50" if inner.get("layer_type") != "basic" else "resnet34"
    return sizes.get(depths)


def _categories_of(theirs: dict[str, Any], file: Path) -> Categories:
    """COCO's where the labels are COCO's 91 slots; otherwise a category id is the label, unless we wrote the folder."""
    labels = theirs.get("id2label")
    count = len(labels) if isinstance(labels, dict) else theirs.get("num_labels", 91)
    if not isinstance(labels, dict):
        labels = {}
    if not isinstance(count, int) or not 0 < count < 100_000:
        raise WeightsError(f"{file}: neither id2label nor num_labels gives the number of classes")
    names = [labels.get(str(i)) for i in range(count)]
    coco = coco_categories()
    if count == 91 and all(n in (None, "N/A", f"LABEL_{i}") or n == coco.names[i] for i, n in enumerate(names)):
        return coco
    ids = theirs.get("condetr_category_ids")
    if not (isinstance(ids, list) and len(ids) == count and all(type(i) is int for i in ids)):
        ids = list(range(count))
    return Categories(tuple(ids), tuple(None if name in (None, "N/A") else str(name) for name in names))


def write_transformers(folder: Path, detector: Detector, c: config.Config, categories: Categories, card: str) -> None:
    """A folder that transformers loads, with names of version 4 (version 5 reads them too)."""
    plain = (
        c.model.backbone.name.startswith("resnet")
        and c.model.backbone.last_stage == 4
        and c.model.backbone.norm == "frozen_batch"
        and (isinstance(c.model.decoder, config.Detr) or c.model.decoder.spatial_query == "diagonal")
        and (c.model.reference, c.model.scoring.kind == "softmax")
        == (("predicted", False) if c.model.decoder.kind == "conditional" else ("centre", True))
    )
    if not plain:
        raise WeightsError(
            "transformers has no such model: it has DETR (softmax, no reference) and Conditional DETR (focal, "
            "predicted reference, diagonal T) with whole ResNets. Keep these weights in condetr's own format"
        )
    state = {name: tensor.contiguous() for name, tensor in published.write(
        detector.state_dict(), "transformers4").items()}  # fmt: skip
    with replacing(folder / "model.safetensors") as part:
        save_file(state, part, metadata={"format": "pt"})
    write_text(folder / "config.json", json.dumps(_their_config(c.model, categories), indent=2) + "\n")
    short = c.data.size
    preprocessor = {
        "image_processor_type": "ConditionalDetrImageProcessor"
        if c.model.decoder.kind == "conditional"
        else "DetrImageProcessor",
        "format": "coco_detection",
        "do_resize": True, "do_rescale": True, "do_normalize": True, "do_pad": True,
        "size": {"shortest_edge": short, "longest_edge": round(short * c.data.longest)},
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }  # fmt: skip
    write_text(folder / "preprocessor_config.json", json.dumps(preprocessor, indent=2) + "\n")
    write_text(folder / "README.md", card)


def _their_config(model: config.Model, categories: Categories) -> dict[str, Any]:
    is_conditional = model.decoder.kind == "conditional"
    names = [name or "N/A" for name in categories.names]
    return {
        "model_type": "conditional_detr" if is_conditional else "detr",
        "architectures": [f"{'ConditionalDetr' if is_conditional else 'Detr'}ForObjectDetection"],
        "d_model": model.dim,
        "encoder_layers": model.encoder_layers,
        "decoder_layers": model.decoder_layers,
        "encoder_attention_heads": model.heads,
        "decoder_attention_heads": model.heads,
        "encoder_ffn_dim": model.hidden,
        "decoder_ffn_dim": model.hidden,
        "dropout": model.dropout,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "num_queries": model.queries,
        "auxiliary_loss": False,
        "use_timm_backbone": True,
        "use_pretrained_backbone": False,
        "backbone": model.backbone.name,
        "dilation": model.backbone.stride == 16,
        "num_channels": 3,
        "id2label": {str(i): name for i, name in enumerate(names)},
        "label2id": {name: i for i, name in enumerate(names)},
        "condetr_category_ids": list(categories.ids),
    }
