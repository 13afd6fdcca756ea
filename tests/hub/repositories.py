"""The hub repositories that condetr downloads from, in their real layouts and sizes, with random weights."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from condetr import recipes
from condetr.build import build_backbone, build_detector
from condetr.config import Backbone, Config
from condetr.interchange.coco_slots import coco_categories
from condetr.interchange.transformers import write_transformers

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
DETECTORS = {
    "microsoft/conditional-detr-resnet-50": "conditional_detr_r50",
    "facebook/detr-resnet-50": "detr_r50",
    "facebook/detr-resnet-50-dc5": "detr_dc5_r50",
    "facebook/detr-resnet-101": "detr_r101",
    "facebook/detr-resnet-101-dc5": "detr_dc5_r101",
}


def write_resnet(root: Path, name: str) -> str:
    """`timm/NAME.tv_in1k`: every stage, the classifier and the counters of the batch norms."""
    torch.manual_seed(0)
    state = dict(build_backbone(Backbone(name=name)).state_dict())  # type: ignore[arg-type]
    channels = max(tensor.shape[0] for tensor in state.values())
    norms = [key.removesuffix("running_mean") for key in state if key.endswith("running_mean")]
    state |= {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms}
    state |= {"fc.weight": torch.randn(1000, channels) * 0.01, "fc.bias": torch.zeros(1000)}
    id = f"timm/{name}.tv_in1k"
    folder = root / id / "main"
    folder.mkdir(parents=True)
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / "model.safetensors")
    described = {"architecture": name, "num_classes": 1000, "pretrained_cfg": {"tag": "tv_in1k"}}
    (folder / "config.json").write_text(json.dumps(described))
    return id


def write_detector(root: Path, id: str, names: int = 4, preprocessor: bool = True, size: int | None = None) -> str:
    """A published detector in transformers' layout, with the tensor names of version 4 (as on the hub) or 5.

    `size` makes images smaller, so that a prediction takes less time.
    """
    torch.manual_seed(0)
    c: Config = recipes.recipe(DETECTORS[id])
    if size is not None:
        c = c.model_copy(update={"data": c.data.model_copy(update={"size": size})})
    categories = coco_categories()
    folder = root / id / "main"
    write_transformers(folder, build_detector(c.model, len(categories)), c, categories, "a model card")
    file = folder / "config.json"
    described = json.loads(file.read_text())
    del described["condetr_category_ids"]  # only folders that condetr wrote have it
    file.write_text(json.dumps(described))
    if names == 5:
        rename_to_version_5(folder, described)
    if not preprocessor:
        (folder / "preprocessor_config.json").unlink()
    return id


def rename_to_version_5(folder: Path, described: dict[str, object]) -> None:
    """Let transformers 5 read the folder and write it again, with its own names."""
    from transformers import AutoModelForObjectDetection

    model = AutoModelForObjectDetection.from_pretrained(folder)
    model.save_pretrained(folder, save_original_format=False)
    assert load_file(folder / "model.safetensors").keys() == model.state_dict().keys()
