"""Weights, config and categories in one folder: a trained detector on disk. The state to resume from is elsewhere."""

import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from .arguments import check_path, instance_of, path_of, with_article
from .build import build_detector
from .config import Config, parse
from .engine.device import check_device
from .engine.torch_defaults import torch_defaults
from .errors import CondetrError, WeightsError
from .files import quoted, replacing, write_text
from .home import with_home
from .interchange import (
    fit,
    read_json,
    read_safetensors,
    read_transformers,
    read_transformers_config,
    refuse_adapter,
)
from .interchange.hub import fetch, is_repository
from .model.detector import Detector
from .own_folders import runs_inside
from .plural import counted, listed
from .suggestions import missing_folder
from .types import Categories

logger = logging.getLogger(__name__)

MOST_NAMED = 4  # folders in an error
MODELS = {"detr": "DETR", "conditional": "Conditional DETR", "refining": "Conditional DETR with refined boxes"}


@dataclass(frozen=True, slots=True)
class Weights:
    """A detector and what is needed to interpret its predictions; `thresholds` has one for each label, or is None."""

    detector: Detector
    config: Config
    categories: Categories
    thresholds: tuple[float, ...] | None

    def __repr__(self) -> str:
        parameters = sum(one.numel() for one in self.detector.parameters())
        classes = counted(len(self.categories.real), "class")
        return f"<Weights of the recipe {self.config.recipe}: {counted(parameters, 'parameter')}, {classes}>"


def save(folder: str | os.PathLike[str], weights: Weights, card: str | None = None) -> None:
    """Write `model.safetensors`, `config.json` (config, categories, thresholds) and `README.md`, the model card.

    Existing files are replaced. Without a `card` it is `model_card(weights)`. Raises CondetrError where the folder
    cannot be written.
    """
    folder = path_of(folder, "folder")
    instance_of(weights, "weights", Weights, "Weights")
    record = {
        "condetr": version("condetr"),
        "config": weights.config.model_dump(mode="json"),
        "categories": [{"id": i, "name": n} for i, n in zip(weights.categories.ids, weights.categories.names)],
        "thresholds": weights.thresholds,
    }
    state = {name: tensor.detach().contiguous() for name, tensor in weights.detector.state_dict().items()}
    with replacing(folder / "model.safetensors") as part:
        save_file(state, part, metadata={"format": "pt"})
    write_text(folder / "config.json", json.dumps(record, indent=2) + "\n")
    write_text(folder / "README.md", model_card(weights) if card is None else card)


def thresholds_split(folder: Path) -> str | None:
    """The split on which the thresholds in a folder of weights were chosen, None where it has none. Training chooses
    them on `valid`."""
    record = read_json(folder / "config.json")
    return str(record.get("thresholds_split", "valid")) if record.get("thresholds") else None


def save_thresholds(folder: Path, thresholds: Sequence[float], split: str) -> None:
    """Replace the confidence thresholds in a folder of condetr's own weights: one number per label, chosen on `split`.

    Only `config.json` is written. Raises WeightsError when the folder holds weights in another format.
    """
    file = folder / "config.json"
    record = read_json(file)
    if not {"config", "categories"} <= set(record):
        raise WeightsError(
            f"{file}: thresholds need weights in condetr's own format. Make them: condetr convert {quoted(folder)} DIR"
        )
    if len(thresholds) != len(record["categories"]):
        raise WeightsError(f"{file}: {len(thresholds)} thresholds for {len(record['categories'])} categories")
    write_text(file, json.dumps({**record, "thresholds": list(thresholds), "thresholds_split": split}, indent=2) + "\n")


def check_local(weights: str | os.PathLike[str]) -> None:
    """Raises WeightsError, as `load` does, for what needs no tensors and no download to be known of weights: before
    other long work."""
    source = _named(weights)
    path = with_home(source)
    check_path(path, WeightsError)
    if path.exists() or not is_repository(source):
        _opened(source)


def _named(weights: Any) -> str:
    """The text that names weights. Raises WeightsError."""
    if not isinstance(weights, str | os.PathLike):
        raise WeightsError(f"weights are a folder or a hub repository (owner/name), not {with_article(weights)}")
    if not os.fspath(weights):
        raise WeightsError("weights: empty text. Give a folder or a hub repository (owner/name)")
    return os.fsdecode(weights)


@torch_defaults()
def load(weights: str | os.PathLike[str], device: torch.device | str = "cpu") -> Weights:
    """Weights from a folder (condetr's own, a training run's, or in transformers' layout) or a hub repository.

    A repository is `owner/name`, such as `facebook/detr-resnet-50`, or `owner/name@revision` for a branch, tag or
    commit. The detector is in evaluation mode on `device`. Raises WeightsError for weights that are incomplete or of an
    unknown format, ConfigError for a device that this machine lacks. Nothing is unpickled.
    """
    source = _named(weights)
    device = check_device(str(device))
    path, record = _opened(source)
    logger.info("loading %s", source)
    if "model_type" in record:
        loaded = Weights(*read_transformers(path), thresholds=None)
    else:
        loaded = _read_own(path, record)
    check_finite(loaded.detector, source)
    loaded.detector.to(device).eval()
    return loaded


def check_finite(detector: Detector, source: str) -> None:
    """Raises WeightsError for weights with NaN or infinity, whose predictions are nothing or NaN."""
    for name, tensor in detector.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise WeightsError(f"{source}: {name} contains NaN or infinity. Take weights of an earlier epoch")


def load_config(source: str) -> Config:
    """The config of weights, which are named as for `load`, without their tensors. Raises WeightsError as it does."""
    path, record = _opened(source)
    return read_transformers_config(path) if "model_type" in record else _own_config(path, record)


def _opened(source: str) -> tuple[Path, dict]:
    """The folder of the weights that are named, downloaded where they are on the hub, and its config.json."""
    path = with_home(source)
    check_path(path, WeightsError)
    if path.is_file():
        if path.suffix in {".pth", ".pt", ".bin", ".ckpt"}:
            raise WeightsError(
                f"{path}: such files can run code when opened. Convert it once: condetr convert {quoted(path)} "
                f"{quoted(path.stem)}/"
            )
        if path.suffix.lower() in {".onnx", ".xml"}:
            raise WeightsError(f"{path}: an exported file. Give the folder of weights that it was exported from")
        raise WeightsError(f"{path}: give the folder that holds config.json and model.safetensors, not a file in it")
    if not path.is_dir():
        if (missing := missing_folder(source)) is not None:
            raise WeightsError(f"{source}: {missing}")
        if not is_repository(source):
            raise WeightsError(f"{source}: {_neither(source)}")
        path = fetch(source)
    path = weights_of_run(path)
    if (path / "journal.jsonl").exists() and not (path / "model.safetensors").exists():
        raise WeightsError(f"{path}: this training run has no weights yet. They are written after its first epochs")
    if not (path / "config.json").exists() and (inside := runs_inside(path)):  # such as runs/
        names = listed([*map(str, inside[:MOST_NAMED]), *["others"] * (len(inside) > MOST_NAMED)])
        which = f"Give one of them: {names}" if len(inside) > 1 else f"Did you mean {names}?"
        raise WeightsError(f"{path}: a folder of runs or weights. {which}")
    refuse_adapter(path)
    return path, read_json(path / "config.json")


def _neither(source: str) -> str:
    """Why a text is neither a folder nor a repository."""
    address = re.match(
        r"(?:hf://|(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/)(?:(datasets|spaces)/)?([\w.-]+/[\w.-]+)", source
    )
    if address is not None and address[1]:
        return f"the hub's {address[1]} are not weights. Name a model as owner/name"
    if address is not None:
        return f"name weights on the hub without the URL: {address[2]}"
    if "@" in source and Path(source.rpartition("@")[0]).is_dir():
        return "no such weights folder. @revision is for hub repositories; a folder on this machine has no revisions"
    repository, at, revision = source.rpartition("@")
    if at and not revision and is_repository(repository):
        return f"a revision is missing after @. Name the repository as {repository}, or {repository}@revision"
    return "no such weights folder, and not the name of a hub repository (owner/name)"


def weights_of_run(folder: Path) -> Path:
    """The folder of a training run's best weights, else of its last ones; any other folder is returned as it is."""
    if not (folder / "model.safetensors").exists():
        for name in ("best", "last"):
            if (folder / name / "config.json").exists():
                return folder / name
    return folder


def own_config_file(weights: str) -> Path | None:
    """The config.json of weights in condetr's own format, in a folder on this machine; None for all others."""
    file = weights_of_run(Path(weights)) / "config.json"
    return file if file.is_file() and "config" in read_json(file) else None


def _own_config(folder: Path, record: dict) -> Config:
    file = folder / "config.json"
    if "config" not in record or "categories" not in record:
        raise WeightsError(f"{file}: not in condetr's format, nor in transformers' (no 'config', no 'model_type')")
    if unknown := set(record) - {"condetr", "config", "categories", "thresholds", "thresholds_split"}:
        raise WeightsError(f"{file}: {sorted(unknown)[0]}: no such key. Remove it, or update condetr")
    return parse(record["config"], str(file))


def _read_own(folder: Path, record: dict) -> Weights:
    file, config = folder / "config.json", _own_config(folder, record)
    try:
        ids, names = ([one[key] for one in record["categories"]] for key in ("id", "name"))
    except (TypeError, KeyError):
        raise WeightsError(f"{file}: categories must be a list of {{id, name}}") from None
    try:
        categories = Categories.read(ids, names)
        thresholds = categories.thresholds(record.get("thresholds"))
    except CondetrError as error:
        raise WeightsError(f"{file}: {error}") from None
    state = read_safetensors(folder / "model.safetensors")
    with torch.device("meta"):
        detector = build_detector(config.model, len(categories))
    fit(detector, state, folder / "model.safetensors")
    return Weights(detector, config, categories, thresholds)


def model_card(weights: Weights, converted_from: str | None = None) -> str:
    """The README of a folder of weights, with the metadata that the hub reads."""
    model = weights.config.model
    parameters = sum(p.numel() for p in weights.detector.parameters())
    return "\n".join(
        [
            "---",
            "library_name: condetr",
            "pipeline_tag: object-detection",
            "---",
            f"# {MODELS[model.decoder.kind]}, {model.backbone.name}",
            "",
            f"{parameters:,} parameters; {counted(model.queries, 'query')}; stride {model.backbone.stride}; "
            f"images with a short side of {weights.config.data.size} pixels.",
            "",
            *([f"Converted from `{converted_from}`. The licence is that of the source.", ""] if converted_from else []),
            f"Classes: {', '.join(weights.categories.name(label) for label in weights.categories.real)}.",
            "",
            "```python",
            "import condetr",
            "",
            'predictor = condetr.Predictor.load("this folder")',
            'detections = predictor("image.jpg")',
            "```",
            "",
        ]
    )
