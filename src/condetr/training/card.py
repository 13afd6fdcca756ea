"""What is published with trained weights: the model card, and the config without paths of this machine."""

from pathlib import Path
from typing import Any

import torch

from ..checkpoint import MODELS
from ..config import Config, override
from ..datasets.dataset import DataSet
from ..plural import counted

UNNAMED = ("best", "last")  # folders in a run that are named after it


def published(config: Config) -> Config:
    """The config with only the name where `train.init` is a file or a folder; hub ids stay as they are."""
    init = config.train.init
    path = Path(init)
    if not (path.is_absolute() or path.exists() or "\\" in init or init.count("/") > 1 or init.startswith(".")):
        return config
    path = path.resolve()
    name = f"{path.parent.name}/{path.name}" if path.name in UNNAMED else path.name
    return override(config, {"train.init": name})


def card(config: Config, dataset: DataSet, evaluated: dict[str, Any] | None) -> str:
    """The model card in Markdown: what the model was trained on, how, and how good it is.

    `evaluated` has the epoch and its COCO metrics, None where nothing was evaluated.
    """
    config = published(config)
    names = [dataset.categories.name(label) for label in dataset.categories.real]
    images = ", ".join(f"{counted(len(split), 'image')} in {name}" for name, split in dataset.splits.items())
    lines = [
        "---", "library_name: condetr", "pipeline_tag: object-detection", "---", "",
        f"# {config.recipe}, trained on {dataset.name}", "",
        f"Detects {', '.join(names)}.", "",
        f"- data: {images} ({dataset.format_name} labels)",
        f"- model: {MODELS[config.model.decoder.kind]}, {config.model.backbone.name}, "
        f"{counted(config.model.queries, 'query')}, short side {config.data.size} px",
        f"- training: {counted(config.train.epochs, 'epoch')}, batch {config.train.batch}, "
        f"learning rate {config.train.lr:g}, seed {config.train.seed}, initialised from {config.train.init}",
    ]  # fmt: skip
    if evaluated is not None and evaluated.get("ap") is not None:
        lines += ["", f"COCO metrics on `valid` after epoch {evaluated['epoch']}:", "", "| AP | AP50 | AP75 |",
                  "|---|---|---|",
                  f"| {evaluated['ap']:.3f} | {evaluated['ap50']:.3f} | {evaluated['ap75']:.3f} |"]  # fmt: skip
    return "\n".join([*lines, "", f"All settings are in `config.json`. torch {torch.__version__}.", ""])
