"""Weights of tiny detectors and their exported files, one export for each kind of model and test session.

While operations are recorded, sizes are tensors, which the shape checks of the tests do not know: they are off then.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import jaxtyping

from condetr import config
from condetr.checkpoint import Weights
from condetr.config import Config, Data
from condetr.predicting.exported import write
from condetr.types import Categories
from tests.tiny import TINY, TINY_DETR, shaken

CATEGORIES = Categories((1, 3, 4), ("cat", None, "dög <b>"))
THRESHOLDS = (0.2, 0.5, 0.3)
FOLDER = Path(mkdtemp(prefix="condetr-exported-"))


def variant(**changes) -> config.Model:
    return config.Model(**(TINY.model_dump() | changes))


def backbone(**changes) -> dict:
    return {"backbone": TINY.backbone.model_dump() | changes}


MODELS = {
    "tiny": TINY,
    "nano": variant(**backbone(name="nano", last_stage=2, stride=8, norm="channel")),
    "detr": TINY_DETR,
    "refining": variant(decoder={"kind": "refining"}, reference="anchors"),
    "fused keys": variant(keys="fused"),
    "timm": variant(**backbone(name="timm:mobilenetv2_100", last_stage=4, stride=32)),
    "softmax": variant(scoring={"kind": "softmax"}),
    **{kind: variant(scoring={"kind": kind}) for kind in ("iou_aware", "mal")},
    "R50": variant(**backbone(name="resnet50", last_stage=4, stride=32)),
    "DC5": variant(**backbone(name="resnet50", last_stage=4, stride=16)),
    **{f"{kind} reference": variant(reference=kind) for kind in ("centre", "learned")},
}


@cache
def weights(name: str) -> Weights:
    model = MODELS.get(name) or variant(decoder={"kind": "conditional", "spatial_query": name})
    return Weights(shaken(model, len(CATEGORIES)), Config(model=model, data=Data(size=64)), CATEGORIES, THRESHOLDS)


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
