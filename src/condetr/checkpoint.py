"""Weights, config and categories in one folder: what a trained detector is on disk. Resume state lives elsewhere."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import RepositoryNotFoundError
from safetensors.torch import save_file

from .build import build_detector
from .config import Config, parse
from .errors import CondetrError, WeightsError
from .files import replacing, write_text
from .interchange import fit, read_json, read_safetensors, read_transformers
from .model.detector import Detector
from .types import Categories


@dataclass(frozen=True, slots=True)
class Weights:
    """A detector and what is needed to understand its answers. `thresholds`: each label's best score bar, if known."""

    detector: Detector
    config: Config
    categories: Categories
    thresholds: tuple[float, ...] | None


def save(folder: Path, weights: Weights, card: str) -> None:
    """Write `model.safetensors`, `config.json` (config, categories, thresholds) and `README.md`, the model card."""
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
    write_text(folder / "README.md", card)


def save_thresholds(folder: Path, thresholds: Sequence[float]) -> None:
    """Replace the confidence thresholds in a folder of condetr's own weights: one number per label.

    Only `config.json` is written. Raises WeightsError when the folder holds weights in another format.
    """
    file = folder / "config.json"
    record = read_json(file)
    if not {"config", "categories"} <= set(record):
        raise WeightsError(
            f"{file}: thresholds need weights in condetr's own format. Make them: condetr convert {folder} DIR"
        )
    if len(thresholds) != len(record["categories"]):
        raise WeightsError(f"{file}: {len(thresholds)} thresholds for {len(record['categories'])} categories")
    write_text(file, json.dumps({**record, "thresholds": list(thresholds)}, indent=2) + "\n")


def load(source: str | Path, device: torch.device | str = "cpu") -> Weights:
    """Weights from a folder (ours, or in transformers' layout) or from a hub id such as `facebook/detr-resnet-50`.

    Raises WeightsError, in one line, for anything that is not whole and known. Nothing is ever unpickled.
    """
    weights = _load(source)
    weights.detector.to(device).eval()
    return weights


def _load(source: str | Path) -> Weights:
    path = Path(source)
    if path.is_file():
        if path.suffix in {".pth", ".pt", ".bin", ".ckpt"}:
            raise WeightsError(
                f"{path}: such files can run code when opened. Convert it once: condetr convert {path} {path.stem}/"
            )
        raise WeightsError(f"{path}: give the folder that holds config.json and model.safetensors, not a file in it")
    if not path.is_dir():
        if re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", str(source)) is None:
            raise WeightsError(f"{source}: no such weights folder, and not the name of a hub repository (owner/name)")
        path = fetch(str(source))
    path = weights_of_run(path)
    record = read_json(path / "config.json")
    if "model_type" in record:
        return Weights(*read_transformers(path), thresholds=None)
    return _read_own(path, record)


def weights_of_run(folder: Path) -> Path:
    """The best weights of a training's folder, its last ones where none are best; any other folder itself."""
    if not (folder / "model.safetensors").exists():
        for name in ("best", "last"):
            if (folder / name / "config.json").exists():
                return folder / name
    return folder


def _read_own(folder: Path, record: dict) -> Weights:
    file = folder / "config.json"
    if "config" not in record or "categories" not in record:
        raise WeightsError(f"{file}: neither condetr's nor transformers' (no 'config', no 'model_type')")
    if unknown := set(record) - {"condetr", "config", "categories", "thresholds"}:
        raise WeightsError(f"{file}: {sorted(unknown)[0]}: no such key. Remove it, or update condetr")
    config = parse(record["config"], str(file))
    try:
        categories = Categories(
            tuple(int(c["id"]) for c in record["categories"]),
            tuple(None if c["name"] is None else str(c["name"]) for c in record["categories"]),
        )
        thresholds = record.get("thresholds") and tuple(float(t) for t in record["thresholds"])
    except (TypeError, ValueError, KeyError, OverflowError):
        raise WeightsError(f"{file}: categories must be a list of {{id, name}}, thresholds of numbers") from None
    except CondetrError as error:
        raise WeightsError(f"{file}: {error}") from None
    if not categories.real:
        raise WeightsError(f"{file}: categories: none of them has a name")
    if thresholds is not None and len(thresholds) != len(categories):
        raise WeightsError(f"{file}: {len(thresholds)} thresholds for {len(categories)} categories")
    state = read_safetensors(folder / "model.safetensors")
    with torch.device("meta"):
        detector = build_detector(config.model, len(categories))
    fit(detector, state, folder / "model.safetensors")
    return Weights(detector, config, categories, thresholds)


def fetch(repository: str) -> Path:
    """A hub repository's weights in huggingface_hub's cache; HF_HUB_OFFLINE=1 keeps to what is there."""
    wanted = ["config.json", "preprocessor_config.json", "model.safetensors"]
    try:
        return Path(snapshot_download(repository, allow_patterns=wanted))
    except RepositoryNotFoundError:
        raise WeightsError(f"{repository}: no such folder, and no such repository on the hub") from None
    except Exception as error:  # whatever a server, a proxy or a broken cache makes the client raise
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"{repository}: no such folder, not in the hub's cache, and the hub cannot be reached ({reason}). Where "
            f"there is a network run `hf download {repository} --local-dir DIR`, copy DIR here and give that folder"
        ) from None
