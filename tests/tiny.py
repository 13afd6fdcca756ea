"""Detectors small enough for tests, with weights that no test can mistake for a fresh start."""

import torch
from torch import nn

from condetr import config
from condetr.build import build_detector
from condetr.model.detector import Detector

TINY = config.Model(
    backbone=config.Backbone(name="resnet18", last_stage=3, stride=16),
    dim=32, heads=4, hidden=48, encoder_layers=2, decoder_layers=3, queries=7, dropout=0.0,
)  # fmt: skip
TINY_DETR = config.Model(
    **{
        **TINY.model_dump(),
        "decoder": {"kind": "detr"},
        "scoring": {"kind": "softmax"},
        "reference": "centre",
    }
)
TINY_REFINING = config.Model(
    **{
        **TINY.model_dump(),
        "decoder": {"kind": "refining", "box_bias": "log", "start": "local"},
        "reference": "anchors",
        "keys": "fused",
    }
)
FORMS = config.SpatialQuery.__args__


def shaken(model: config.Model, classes: int, seed: int = 0) -> Detector:
    """A detector in eval mode whose zeros and identities are disturbed: norms, box head, class bias.

    Residual branches are weaker than what they are added to, as in trained networks: features keep the size of ones,
    and float32 rounds them as it rounds real ones.
    """
    torch.manual_seed(seed)
    detector = build_detector(model, classes).eval()
    for module in detector.modules():
        if "running_var" in dict(module.named_buffers(recurse=False)):
            module.running_var.uniform_(0.5, 1.5)
            module.running_mean.normal_(0, 0.1)
            module.weight.uniform_(0.2, 0.7)
            module.bias.normal_(0, 0.1)
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    for parameter in detector.heads.box.parameters():
        nn.init.normal_(parameter, 0, 0.1)
    return detector
