"""The study of levers: what each addition to Conditional DETR gives alone, and what is lost without it.

A lever is a named group of settings. The baseline has none of them: Conditional DETR as published, trained with the
rest of the base recipe. From the table of levers come the baseline, the baseline with each lever, all levers together,
and all but each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .paper import CONDITIONAL, Variant


@dataclass(frozen=True, slots=True)
class Lever:
    """What it adds, its settings, and the lever that it needs, which is an earlier one of the table."""

    description: str
    settings: Mapping[str, Any]
    needs: str = ""


BASELINE: dict[str, Any] = {
    **CONDITIONAL,
    "train.groups": 1,
    "train.denoising_noise": "contrastive",
    "train.schedule": "step",
    "train.clip": 0.1,
    "train.ema": 0.0,
    "train.ema_ramp": 0,
    "train.ema_window": 0.0,
}

LEVERS: dict[str, Lever] = {
    "local": Lever("attention that starts at the reference point", {"model.decoder.start": "local"}),
    "anchors": Lever(
        "boxes as queries, refined by each layer",
        {
            "model.decoder.kind": "refining",
            "model.reference": "anchors",
            "model.decoder.box_bias": "none",
            "model.decoder.size_modulation": False,
            "model.decoder.boxes": "logit",
        },
    ),
    "box_bias": Lever(
        "a bias of the cross-attention around the box", {"model.decoder.box_bias": "log"}, needs="anchors"
    ),
    "denoising": Lever(
        "20 contrastive denoising queries",
        {"train.denoising": 20},
        needs="anchors",
    ),
    "iou_aware": Lever(
        "IoU-aware classification loss",
        {"model.scoring.kind": "iou_aware", "model.scoring.class_weight": 4.0},
    ),
    "fused_keys": Lever("keys of half the encoder's stride", {"model.keys": "fused"}),
    "groups": Lever("five groups of queries", {"train.groups": 5}),
    "schedule": Lever(
        "flat-cosine schedule, warm-up, averaged weights, clipping at 1",
        {
            "train.schedule": "flat_cosine",
            "train.warmup": 0.05,
            "train.ema": 0.993,
            "train.ema_ramp": 100,
            "train.clip": 1.0,
        },
    ),
}


def with_levers(names: Iterable[str]) -> dict[str, Any]:
    """The settings of the baseline with these levers, in the order of the table."""
    chosen = set(names)
    own = (setting for name, lever in LEVERS.items() if name in chosen for setting in lever.settings.items())
    return {**BASELINE, **dict(own)}


def lever_variants() -> dict[str, Variant]:
    """The models of the study, the baseline first, by name."""
    variants = {"plain": Variant("Conditional DETR as published: the baseline, without any lever", BASELINE)}
    for name, lever in LEVERS.items():
        beside = f" and {lever.needs}, which it needs" if lever.needs else ""
        description = f"baseline with {name}{beside}: {lever.description}"
        variants[f"with_{name}"] = Variant(description, with_levers({name, lever.needs}))
    variants["all_levers"] = Variant(f"baseline with {', '.join(LEVERS)}", with_levers(LEVERS))
    for name in LEVERS:
        dependent = [other for other, lever in LEVERS.items() if lever.needs == name]
        beside = f" and {' and '.join(dependent)}, which need it" if dependent else ""
        description = f"all levers but {name}{beside}"
        variants[f"without_{name}"] = Variant(description, with_levers(set(LEVERS) - {name, *dependent}))
    return variants


LEVER_VARIANTS = lever_variants()
