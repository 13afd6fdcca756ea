"""Folders of transformers, read and written: both model types, names of version 4 and 5."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from .. import config
from ..errors import CondetrError, WeightsError
from ..files import replacing, write_text
from ..images.prepare import MEAN, STD
from ..model.detector import Detector
from ..types import Categories
from . import published
from .fields import refused
from .loading import config_of, dialect_of, load, read_json, read_safetensors
from .transformers_backbone import with_timm_names
from .transformers_classes import categories_of, logits_of_classes
from .transformers_config import model_of
from .transformers_images import image_size

CLASSES = "class_labels_classifier.bias"
RESAVE = "load and save the model once with transformers: save_pretrained writes model.safetensors"
UNREAD = {  # in the place of model.safetensors
    "model.safetensors.index.json": "the weights are in several files, and condetr reads one",
    "pytorch_model.bin": "such files can run code when opened",
    "pytorch_model.bin.index.json": "such files can run code when opened",
}
HIDDEN = ("model.decoder.layers.0.fc1.bias", "model.decoder.layers.0.mlp.fc1.bias")  # of versions 4 and 5


def read_transformers(folder: Path) -> tuple[Detector, config.Config, Categories]:
    """A folder in transformers' layout: config.json (with a model_type) and model.safetensors."""
    file = folder / "config.json"
    theirs = read_json(file)
    model = model_of(theirs, file)
    images = image_size(folder)
    weights = folder / "model.safetensors"
    state = with_timm_names(_tensors(folder), model.backbone.last_stage)
    if dialect_of(state, weights) == "official" or CLASSES not in state:
        raise WeightsError(f"{weights}: {CLASSES} is missing")
    _check_sizes(theirs, file, state, model)
    classes = logits_of_classes(tuple(state[CLASSES].shape), model.scoring.kind == "softmax", weights)
    categories = categories_of(theirs, file, classes)
    detector = load(state, model, classes, weights, f"config.json ({model.backbone.name})")
    return detector, config_of(model, images, str(folder)), categories


def read_transformers_config(folder: Path) -> config.Config:
    """The whole config of a folder in transformers' layout, without its tensors."""
    file = folder / "config.json"
    return config_of(model_of(read_json(file), file), image_size(folder), str(folder))


def refuse_adapter(folder: Path) -> None:
    """Raises WeightsError for a folder in which peft has saved an adapter, which changes the weights beside it."""
    file = folder / "adapter_config.json"
    if file.exists():
        raise WeightsError(
            f"{file}: condetr does not read adapters of peft. Merge the adapter into its model once (merge_and_unload) "
            "and save the model with save_pretrained"
        )


def _tensors(folder: Path) -> dict[str, Tensor]:
    file = folder / "model.safetensors"
    if file.exists():
        return read_safetensors(file)
    for name, reason in UNREAD.items():
        if (folder / name).exists():
            raise WeightsError(f"{folder / name}: {reason}. To read them, {RESAVE}")
    if variants := sorted(folder.glob("*.safetensors")):
        raise WeightsError(f"{variants[0]}: condetr reads model.safetensors. If these are the weights, rename the file")
    raise WeightsError(
        f"{file}: no such file. If the weights are in pytorch_model.bin (which can run code when opened) or in several "
        f"files, {RESAVE}"
    )


def _check_sizes(theirs: dict[str, Any], file: Path, state: dict[str, Tensor], model: config.Model) -> None:
    """Raises WeightsError for a size in config.json that is not that of the weights."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    queries = shapes.get("model.query_position_embeddings.weight", ())
    sizes = {
        "encoder_layers": (model.encoder_layers, _layers(state, "encoder")),
        "decoder_layers": (model.decoder_layers, _layers(state, "decoder")),
        "num_queries": (model.queries, *queries[:1]),
        "d_model": (model.dim, *queries[1:2]),
        "encoder_ffn_dim": (model.hidden, *(n for at in HIDDEN for n in shapes.get(at, ())[:1])),
    }
    for name, (described, *found) in sizes.items():
        if found and found[0] != described:
            raise refused(file, name, theirs.get(name, described), f"the weights have {found[0]}")


def _layers(state: dict[str, Tensor], side: str) -> int:
    """The number of layers of the encoder or the decoder."""
    return len({name.split(".")[3] for name in state if name.startswith(f"model.{side}.layers.")})


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
        "image_mean": list(MEAN),
        "image_std": list(STD),
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
