"""Weights of other projects, read and written: transformers' folders (both model types, names of version 4 and 5) and
the `.pth` files of the two official repositories."""

import argparse
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from . import config, recipes
from .build import build_detector
from .errors import WeightsError
from .files import replacing, write_text
from .model import published
from .model.detector import Detector
from .types import Categories

TYPES = {"conditional_detr": config.Conditional(), "detr": config.Detr()}

COCO = """
1 person;2 bicycle;3 car;4 motorcycle;5 airplane;6 bus;7 train;8 truck;9 boat;10 traffic light;11 fire hydrant;
13 stop sign;14 parking meter;15 bench;16 bird;17 cat;18 dog;19 horse;20 sheep;21 cow;22 elephant;23 bear;24 zebra;
25 giraffe;27 backpack;28 umbrella;31 handbag;32 tie;33 suitcase;34 frisbee;35 skis;36 snowboard;37 sports ball;38 kite;
39 baseball bat;40 baseball glove;41 skateboard;42 surfboard;43 tennis racket;44 bottle;46 wine glass;47 cup;48 fork;
49 knife;50 spoon;51 bowl;52 banana;53 apple;54 sandwich;55 orange;56 broccoli;57 carrot;58 hot dog;59 pizza;60 donut;
61 cake;62 chair;63 couch;64 potted plant;65 bed;67 dining table;70 toilet;72 tv;73 laptop;74 mouse;75 remote;
76 keyboard;77 cell phone;78 microwave;79 oven;80 toaster;81 sink;82 refrigerator;84 book;85 clock;86 vase;87 scissors;
88 teddy bear;89 hair drier;90 toothbrush
"""


def coco_categories() -> Categories:
    """The 91 slots of heads trained on COCO: a label is the category id, and 11 of the ids are nobody's."""
    pairs = (entry.split(maxsplit=1) for entry in COCO.replace("\n", "").split(";"))
    names = {int(number): name for number, name in pairs}
    return Categories(ids=tuple(range(91)), names=tuple(names.get(i) for i in range(91)))


# --- reading --------------------------------------------------------------------------------------------------------


def read_transformers(folder: Path) -> tuple[Detector, config.Config, Categories]:
    """A folder in transformers' layout: config.json (with a model_type) and model.safetensors."""
    file = folder / "config.json"
    theirs = read_json(file)
    model = _model_of(theirs, file)
    categories = _categories_of(theirs, file)
    state = read_safetensors(folder / "model.safetensors")
    detector = _load(state, model, len(categories), folder / "model.safetensors")
    return detector, _config_of(model, folder / "preprocessor_config.json"), categories


def read_official(file: Path, recipe: str | None) -> tuple[Detector, config.Config, Categories]:
    """A `.pth` of either official repository. Only tensors, and an argparse.Namespace, are read: nothing is run.

    The file says the architecture but for DC5, which leaves no trace in the weights: `args.dilation` tells where the
    file has it, else `recipe` (a recipe's name), else 'dc5' in the file's name.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{file}: no such file") from None
    except Exception as error:  # torch.load raises whatever the bytes make it raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(f"{file}: not readable as weights alone ({reason[:160]})") from None
    state = content.get("model", content) if isinstance(content, dict) else {}
    state = state if isinstance(state, dict) else {}
    state = {k: v for k, v in state.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if published.dialect_of(state) != "official":
        raise WeightsError(f"{file}: not a checkpoint of DETR's or Conditional DETR's official code")
    if recipe is None:
        dilation = bool(getattr(content.get("args"), "dilation", "dc5" in file.name.lower()))
        base = recipes.recipe("conditional_detr_r50" if published.conditional(state) else "detr_r50").model
        model = _adapted(base, state, dilation, "backbone.0.body.", "query_embed.weight", file)
    else:
        model = recipes.recipe(recipe).model
    logits = state["class_embed.weight"].shape[0]
    classes = logits - 1 if model.scoring.kind == "softmax" else logits
    plain = Categories(tuple(range(classes)), tuple(f"class {i}" for i in range(classes)))
    categories = coco_categories() if classes == 91 else plain
    detector = _load(state, model, classes, file)
    return detector, _config_of(model, None), categories


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
        return load_file(file)
    except FileNotFoundError:
        raise WeightsError(f"{file}: no such file. A weights folder holds config.json and model.safetensors") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{file}: not a whole safetensors file ({error}). Fetch or copy it again") from None


def fit(detector: Detector, state: dict[str, Tensor], file: Path) -> None:
    """Put weights of our names into a detector built on the meta device; the first misfit is named."""
    own = detector.state_dict()
    for name, tensor in state.items():
        if name not in own:
            raise WeightsError(f"{file}: {name} belongs to another model than its config.json describes")
        if own[name].shape != tensor.shape:
            expected = f"{tuple(own[name].shape)} was expected from config.json"
            raise WeightsError(f"{file}: {name} has shape {tuple(tensor.shape)}, {expected}")
        if not tensor.is_floating_point():
            raise WeightsError(f"{file}: {name} is {tensor.dtype}, a floating point type was expected")
    missing = [name for name in own if name not in state]
    if missing:
        raise WeightsError(f"{file}: {missing[0]} is missing" + f" (and {len(missing) - 1} more)" * (len(missing) > 1))
    detector.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)


def _load(state: dict[str, Tensor], model: config.Model, classes: int, file: Path) -> Detector:
    dialect = published.dialect_of(state)
    if dialect is None:
        raise WeightsError(f"{file}: the names in it are neither DETR's nor Conditional DETR's")
    with torch.device("meta"):
        detector = build_detector(model, classes)
    read = published.read(state, dialect, detector.state_dict())
    if read.unexpected:
        raise WeightsError(f"{file}: {read.unexpected[0]} belongs to another model than its configuration describes")
    fit(detector, read.state, file)
    return detector


def _adapted(
    base: config.Model, state: dict[str, Tensor], dilation: bool, body: str, queries: str, file: Path
) -> config.Model:
    """The published model of this file's sizes, read off its tensors."""
    blocks = [sum(f"{body}layer{s}.{i}.conv1.weight" in state for i in range(32)) for s in (1, 2, 3, 4)]
    bottleneck = f"{body}layer1.0.conv3.weight" in state
    known = [
        ("resnet18", False, [2, 2, 2, 2]),
        ("resnet34", False, [3, 4, 6, 3]),
        ("resnet50", True, [3, 4, 6, 3]),
        ("resnet101", True, [3, 4, 23, 3]),
    ]
    name = next((n for n, *shape in known if shape == [bottleneck, blocks]), None)
    if name is None:
        raise WeightsError(f"{file}: its backbone with {blocks} blocks is no ResNet-18, 34, 50 or 101")
    backbone = {"name": name, "stride": 16 if dilation else 32}
    values = base.model_dump() | {"backbone": backbone, "queries": state[queries].shape[0]}
    return config.parse({"model": values}, str(file)).model


def _model_of(theirs: dict[str, Any], file: Path) -> config.Model:
    kind = theirs.get("model_type")
    if not isinstance(kind, str) or kind not in TYPES:
        raise WeightsError(f"{file}: model_type is {kind!r}; condetr reads {' and '.join(TYPES)}")
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
        raise WeightsError(f"{file}: id2label or num_labels does not say how many classes there are")
    names = [labels.get(str(i)) for i in range(count)]
    coco = coco_categories()
    if count == 91 and all(n in (None, "N/A", f"LABEL_{i}") or n == coco.names[i] for i, n in enumerate(names)):
        return coco
    ids = theirs.get("condetr_category_ids")
    if not (isinstance(ids, list) and len(ids) == count and all(type(i) is int for i in ids)):
        ids = list(range(count))
    return Categories(tuple(ids), tuple(None if name in (None, "N/A") else str(name) for name in names))


def _config_of(model: config.Model, preprocessor: Path | None) -> config.Config:
    name = recipes.matching(model)
    base = recipes.recipe(name if name != "custom" else "conditional_detr_r50")
    values = base.model_dump() | {"recipe": name, "model": model.model_dump()}
    if preprocessor is not None and preprocessor.exists():
        size = read_json(preprocessor).get("size")
        if isinstance(size, dict) and {"shortest_edge", "longest_edge"} <= set(size):
            short, long = size["shortest_edge"], size["longest_edge"]
            if not all(type(side) in (int, float) and 0 < side < 1e6 for side in (short, long)):
                raise WeightsError(f"{preprocessor}: size: shortest_edge and longest_edge must be pixels")
            values["data"] |= {"size": short, "longest": long / short}
    return config.parse(values, str(preprocessor or "published weights"))


# --- writing --------------------------------------------------------------------------------------------------------


def write_transformers(folder: Path, detector: Detector, c: config.Config, categories: Categories, card: str) -> None:
    """A folder that transformers loads, with names of version 4 (version 5 reads them too)."""
    plain = (
        c.model.backbone.name.startswith("resnet")
        and c.model.backbone.last_stage == 4
        and c.model.backbone.norm == "frozen_batch"
        and (isinstance(c.model.decoder, config.Detr) or c.model.decoder.spatial_query == "diagonal")
        and (c.model.reference, c.model.scoring.kind)
        == (("predicted", "focal") if c.model.decoder.kind == "conditional" else ("centre", "softmax"))
    )
    if not plain:
        raise WeightsError(
            "transformers has no such model: it knows DETR (softmax, no reference) and Conditional DETR (focal, "
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
