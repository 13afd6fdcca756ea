"""Folders of transformers, read and written: both model types, names of version 4 and 5."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from .. import config
from ..errors import CondetrError, WeightsError
from ..files import replacing, write_text
from ..model.detector import Detector
from ..plural import counted
from ..types import Categories
from . import published
from .coco_slots import coco_categories
from .fields import refused
from .loading import config_of, load, read_json, read_safetensors
from .transformers_backbone import with_timm_names
from .transformers_config import model_of
from .transformers_images import image_size

Name = str | int | float | None  # of a class in id2label


def read_transformers(folder: Path) -> tuple[Detector, config.Config, Categories]:
    """A folder in transformers' layout: config.json (with a model_type) and model.safetensors."""
    file = folder / "config.json"
    theirs = read_json(file)
    model = model_of(theirs, file)
    images = image_size(folder)
    state = with_timm_names(_tensors(folder), model.backbone.last_stage)
    categories = _categories_of(theirs, file, state, model)
    detector = load(state, model, len(categories), folder / "model.safetensors")
    return detector, config_of(model, images, str(folder)), categories


def read_transformers_config(folder: Path) -> config.Config:
    """The whole config of a folder in transformers' layout, without its tensors."""
    file = folder / "config.json"
    return config_of(model_of(read_json(file), file), image_size(folder), str(folder))


def _tensors(folder: Path) -> dict[str, Tensor]:
    file = folder / "model.safetensors"
    if not file.exists():
        raise WeightsError(
            f"{file}: no such file. If the weights are in pytorch_model.bin (which can run code when opened) or in "
            "several files, load and save the model once with transformers: save_pretrained writes model.safetensors"
        )
    return read_safetensors(file)


def _categories_of(theirs: dict[str, Any], file: Path, state: dict[str, Tensor], model: config.Model) -> Categories:
    """COCO's where the labels are COCO's 91 slots; otherwise a category id is the label, unless we wrote the folder.

    Without `id2label` the classes are called LABEL_0, LABEL_1 … as in transformers, `num_labels` or as many as the
    weights have.
    """
    labels = theirs.get("id2label")
    if labels is None:
        count = theirs.get("num_labels")
        if count is None:
            rows = state["class_labels_classifier.bias"].numel() if "class_labels_classifier.bias" in state else 0
            count = rows - (model.scoring.kind == "softmax")
        if type(count) is not int or not 0 < count < 100_000:
            raise WeightsError(f"{file}: neither id2label nor num_labels gives the number of classes")
        labels = {str(i): f"LABEL_{i}" for i in range(count)}
    if not isinstance(labels, dict) or not labels or not all(isinstance(name, Name) for name in labels.values()):
        raise refused(file, "id2label", labels, "it must map labels to names")
    count = len(labels)
    if set(labels) != {str(i) for i in range(count)}:
        raise refused(file, "id2label", labels, f"it must number {counted(count, 'class')} from 0 to {count - 1}")
    names = [labels[str(i)] for i in range(count)]
    coco = coco_categories()
    if count == 91 and all(n in (None, "N/A", f"LABEL_{i}") or n == coco.names[i] for i, n in enumerate(names)):
        return coco
    ids = theirs.get("condetr_category_ids")
    if not (isinstance(ids, list) and len(ids) == count and all(type(i) is int for i in ids)):
        ids = list(range(count))
    return Categories(tuple(ids), tuple(None if name in (None, "N/A") else str(name) for name in names))


def write_transformers(folder: Path, detector: Detector, c: config.Config, categories: Categories, card: str) -> None:
    """A folder that transformers loads, with names of version 4 (version 5 reads them too)."""
    if not _is_theirs(c.model, categories):
        raise WeightsError(
            "transformers has no such model: it has DETR (softmax, no reference) and Conditional DETR (focal, "
            "predicted reference, diagonal T) with whole ResNets, of which 50 and 101 can be dilated. Keep "
            "these weights in condetr's own format"
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


def _is_theirs(model: config.Model, categories: Categories) -> bool:
    """Whether transformers has this model: its description there is read back as the same model."""
    try:
        again = model_of(json.loads(json.dumps(_their_config(model, categories))), Path("config.json"))
    except CondetrError:
        return False
    return _of_inference(again) == _of_inference(model)


def _of_inference(model: config.Model) -> dict[str, Any]:
    """What of a model decides its predictions: not how it starts and is trained, nor how batches are padded."""
    values = model.model_dump(exclude={"backbone": {"trains_from", "padding"}, "decoder": {"start"}, "dropout": True})
    return values | {"scoring": model.scoring.kind == "softmax"}


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
