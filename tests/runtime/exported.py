"""Weights of tiny detectors and their exported files, one export for each kind of model and test session.

While operations are recorded, sizes are tensors, which the shape checks of the tests do not know: they are off then.
"""

import atexit
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from unittest.mock import patch

import jaxtyping
import torch

from condetr import config
from condetr.checkpoint import Weights
from condetr.config import Config, Data
from condetr.model.detector import Detector
from condetr.model.norms import FrozenBatchNorm
from condetr.predicting.exported import write
from condetr.recipes import RECIPES
from condetr.types import Categories, Images
from tests.tiny import TINY, TINY_DETR, shaken

CATEGORIES = Categories((1, 3, 4), ("cat", None, "dög <b>"))
THRESHOLDS = (0.2, 0.5, 0.3)
FOLDER = Path(mkdtemp(prefix="condetr-exported-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


def variant(**changes) -> config.Model:
    return config.Model(**(TINY.model_dump() | changes))


def backbone(**changes) -> dict:
    return {"backbone": TINY.backbone.model_dump() | changes}


def refining(**changes) -> dict:
    return {"decoder": {"kind": "refining"} | changes, "reference": "anchors"}


def narrow(model: config.Model) -> config.Model:
    """The model of a recipe, with fewer layers, channels and queries."""
    few = {"dim": 32, "hidden": 48, "queries": 7, "encoder_layers": 1, "decoder_layers": 2}
    return config.Model(**(model.model_dump() | few))


REFINING = {  # every setting of a refining decoder, with every scoring
    "log bias": refining(box_bias="log", start="local") | {"scoring": {"kind": "iou_aware"}, "keys": "fused"},
    "linear bias": refining(box_bias="linear", boxes="relative", size_modulation=True) | {"scoring": {"kind": "mal"}},
    "size modulation": refining(size_modulation=True, start="local", spatial_query="block")
    | {"scoring": {"kind": "softmax"}, "keys": "fused"},
}
MODELS = {
    "tiny": TINY,
    "nano": variant(**backbone(name="nano", last_stage=2, stride=8, norm="channel")),
    "detr": TINY_DETR,
    "refining": variant(decoder={"kind": "refining"}, reference="anchors"),
    **{name: variant(**changes) for name, changes in REFINING.items()},
    **{name: narrow(RECIPES[name]().model) for name in ("condetr_r50", "small")},
    "fused keys": variant(keys="fused"),
    "timm": variant(**backbone(name="timm:mobilenetv2_100", last_stage=4, stride=32), keys="fused"),
    "softmax": variant(scoring={"kind": "softmax"}),
    **{kind: variant(scoring={"kind": kind}) for kind in ("iou_aware", "mal")},
    "R50": variant(**backbone(name="resnet50", last_stage=4, stride=32)),
    "DC5": variant(**backbone(name="resnet50", last_stage=4, stride=16)),
    **{f"{kind} reference": variant(reference=kind) for kind in ("centre", "learned")},
}


@cache
def weights(name: str) -> Weights:
    model = MODELS.get(name) or variant(decoder={"kind": "conditional", "spatial_query": name})
    detector = started(shaken(model, len(CATEGORIES)))
    measure_norms(detector)
    return Weights(detector, Config(model=model, data=Data(size=64)), CATEGORIES, THRESHOLDS)


def with_nms(given: Weights, nms: float | None) -> Weights:
    """The weights with another non-maximum suppression, and thresholds that keep all detections."""
    model = given.config.model.model_copy(update={"nms": nms})
    config = given.config.model_copy(update={"model": model})
    return replace(given, config=config, thresholds=(0.0,) * len(given.categories))


def started(detector: Detector) -> Detector:
    """The detector with small random weights where a whole parameter is zero, as if it had been trained."""
    for parameter in detector.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, 0, 0.05)
    return detector


@torch.no_grad()
def measure_norms(detector: Detector) -> None:
    """Give all batch norms the statistics of random images. With others, the features of a deep network are nearly the
    same for every image, and so are its detections, in which no mistake would be seen. Channels that hardly vary are
    not enlarged, nor the rounding in them."""
    pixels = torch.randn(4, 3, 84, 101, generator=torch.Generator().manual_seed(0))

    def measure(norm: torch.nn.Module, x: torch.Tensor) -> None:
        variance, mean = torch.var_mean(x, (0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance + variance.mean())

    def after(norm: FrozenBatchNorm, conv: torch.nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        measure(norm, conv(x))
        return plain(norm, conv, x)

    plain = FrozenBatchNorm.after
    norms = [part for part in detector.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_pre_hook(lambda norm, inputs: measure(norm, inputs[0])) for norm in norms]
    with patch.object(FrozenBatchNorm, "after", after):
        detector.backbone(Images(pixels, torch.zeros(4, 84, 101, dtype=torch.bool), ragged=False))
    for hook in hooks:
        hook.remove()


@contextmanager
def without_shape_checks() -> Iterator[None]:
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@cache
def exported(name: str, format: str = "onnx", precision: str = "fp32") -> Path:
    file = FOLDER / f"{name}-{precision}{'.onnx' if format == 'onnx' else '.xml'}".replace(" ", "-")
    with without_shape_checks():
        write(weights(name), file, format, precision)
    return file
