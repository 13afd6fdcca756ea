"""A training of seconds: a detector of 60 000 weights, images of 48 pixels."""

from condetr import config, recipes

SETTINGS = {
    "data.size": 32,
    "model.dim": 32,
    "model.heads": 4,
    "model.hidden": 32,
    "model.encoder_layers": 1,
    "model.decoder_layers": 2,
    "model.queries": 6,
    "train.batch": 8,
    "train.epochs": 2,
    "train.warmup_steps": 0,
    "train.lr": 1e-4,
    "model.decoder.kind": "conditional",
    "model.decoder.start": "local",
    "model.scoring.kind": "focal",
    "train.schedule": "step",
    "train.clip": 0.1,
    "train.ema": 0.99,
    "train.ema_ramp": 0,
}


def settings(**changes):
    """`nano` with Conditional DETR's decoder, smaller still; `changes` are dotted paths with __ for the dot."""
    named = {path.replace("__", "."): value for path, value in changes.items()}
    return config.override(recipes.recipe("nano"), {**SETTINGS, **named})
