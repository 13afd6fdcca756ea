"""Weights from one home to another: the official `.pth` files, transformers' folders, and our own."""

from pathlib import Path
from typing import Literal

from . import checkpoint, interchange
from .errors import WeightsError
from .types import Categories

Format = Literal["condetr", "transformers"]


def convert(source: str, out: Path, to: Format, recipe: str | None) -> checkpoint.Weights:
    """Read weights of any known kind and write them to the folder `out`; returns what was read.

    `recipe` names the architecture of an official `.pth` that does not say whether it is DC5.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise WeightsError(f"{out}: is there already and not empty. Name another folder, or remove it")
    if Path(source).is_file():
        weights = checkpoint.Weights(*interchange.read_official(Path(source), recipe), thresholds=None)
    else:
        weights = checkpoint.load(source)
    card = model_card(weights, origin=source)
    if to == "transformers":
        interchange.write_transformers(out, weights.detector, weights.config, weights.categories, card)
    else:
        checkpoint.save(out, weights, card)
    return weights


def model_card(weights: checkpoint.Weights, origin: str) -> str:
    """What a person who finds the folder needs to know."""
    model = weights.config.model
    name = "Conditional DETR" if model.decoder.kind == "conditional" else "DETR"
    parameters = sum(p.numel() for p in weights.detector.parameters())
    return "\n".join(
        [
            "---",
            "library_name: condetr",
            "pipeline_tag: object-detection",
            "---",
            f"# {name}, {model.backbone.name}",
            "",
            f"{parameters:,} parameters; {model.queries} queries; stride {model.backbone.stride}; "
            f"images with a short side of {weights.config.data.size} pixels.",
            "",
            f"Converted from `{Path(origin).name}`. The licence is that of the source.",
            "",
            f"Classes: {_classes(weights.categories)}.",
            "",
            "```python",
            "from condetr import Predictor",
            'detections = Predictor.load("this folder")("image.jpg")',
            "```",
            "",
        ]
    )


def _classes(categories: Categories) -> str:
    return ", ".join(categories.name(label) for label in categories.real)
