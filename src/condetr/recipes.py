"""Recipes, whole configs by name: those of the two papers, and our own for small data and small machines.

A recipe is a function that returns a config. The published ones follow the papers' sections on training and the scripts
of the official code.
"""

from collections.abc import Callable

from .arguments import wrong
from .config import (
    Backbone,
    Config,
    Data,
    Detr,
    IouAware,
    Loss,
    Model,
    Refining,
    Softmax,
    Train,
    override,
)
from .config.errors import describe, did_you_mean
from .errors import ConfigError

R50 = Backbone(name="resnet50")
R101 = Backbone(name="resnet101")
DC5_R50 = Backbone(name="resnet50", stride=16)
DC5_R101 = Backbone(name="resnet101", stride=16)


def conditional_detr(name: str, backbone: Backbone, batch: int = 16) -> Config:
    """Conditional DETR, 50 epochs: 300 queries, focal loss, reference points, diagonal T."""
    return Config(recipe=name, model=Model(backbone=backbone), train=Train(batch=batch))


def detr(name: str, backbone: Backbone, batch: int = 16) -> Config:
    """DETR, 300 epochs, learning rate divided by 10 after 200: 100 queries, softmax with 'no object'. The models with a
    dilated last stage were trained with batches of 64 (as the authors state in the repository)."""
    model = Model(backbone=backbone, scoring=Softmax(), decoder=Detr(), reference="centre", queries=100)
    return Config(recipe=name, model=model, loss=Loss(classes=1.0), train=Train(epochs=300, drop_at=2 / 3, batch=batch))


def condetr_r50() -> Config:
    """For a GPU: what converged fastest on COCO in published comparisons, with Conditional DETR's cross-attention.

    Anchors that the layers refine (DAB-DETR), an axial box bias (Plain-DETR), denoising (DINO), three groups of queries
    (Group DETR), IoU-aware scoring (Align-DETR) and keys at stride 16, each with its published settings. 12 epochs with
    a drop after 11, or `--epochs 24` with a drop after 20 (the usual short schedules of these papers). The combination
    has not been trained on COCO.
    """
    return Config(
        recipe="condetr_r50",
        model=Model(
            backbone=R50,
            scoring=IouAware(),
            decoder=Refining(box_bias="linear", bias_hidden=512),
            reference="anchors",
            keys="fused",
            dropout=0.0,
        ),
        train=Train(epochs=12, drop_at=11 / 12, groups=3, denoising=100),
    )


def small() -> Config:
    """For a few hundred images and a CPU: ResNet-18 up to its third stage, stride 16, and a small transformer.

    What lets few images and few minutes suffice (docs/convergence.md has the gain of each): anchors that the layers
    refine, attention that starts around them, keys at stride 8, denoising queries, IoU-aware scores, a step for every
    image, about 4,300 steps for any number of images, and a first part of the training on features that are computed
    once. The augmentation keeps objects near their size at test time. So short a training does not suppress all
    duplicates: non-maximum suppression removes the rest.
    """
    return Config(
        recipe="small",
        model=Model(
            backbone=Backbone(name="resnet18", last_stage=3, stride=16),
            scoring=IouAware(class_weight=4.0),
            decoder=Refining(start="local", box_bias="log"),
            reference="anchors", keys="multi_scale",
            dim=128, hidden=512, encoder_layers=1, decoder_layers=3, queries=100, dropout=0.0, nms=0.7,
        ),
        data=Data(size=320, enlarge=1.25, scales=(0.8, 0.9, 1.0, 1.1, 1.2), crop_chance=0.3),
        train=Train(
            epochs=17, steps=4300, schedule="flat_cosine", warmup=0.05, batch=1, lr=5e-4, clip=1.0,
            ema=0.995, ema_ramp=200, denoising=50, denoising_noise="positive",
            feature_epochs=0.3, feature_variants=4,
        ),
    )  # fmt: skip


def nano() -> Config:
    """For training from scratch on a CPU in minutes: under a million parameters, images of about a hundred pixels.

    As in `small`, the layers refine anchors, attention starts around them, and denoising queries and IoU-aware scores
    speed up the training.
    """
    return Config(
        recipe="nano",
        model=Model(
            backbone=Backbone(name="nano", last_stage=2, stride=8, norm="channel", trains_from="stem"),
            scoring=IouAware(class_weight=4.0),
            decoder=Refining(start="local", box_bias="log"),
            reference="anchors",
            dim=128, hidden=256, encoder_layers=1, decoder_layers=2, queries=16, dropout=0.0, nms=0.7,
        ),
        data=Data(size=80),
        train=Train(
            epochs=5, schedule="flat_cosine", warmup=0.05, batch=8, lr=1e-3, backbone_lr=1.0, clip=1.0,
            ema=0.995, ema_ramp=200, denoising=20, init="none",
        ),
    )  # fmt: skip


RECIPES: dict[str, Callable[[], Config]] = {
    "conditional_detr_r50": lambda: conditional_detr("conditional_detr_r50", R50),
    "conditional_detr_dc5_r50": lambda: conditional_detr("conditional_detr_dc5_r50", DC5_R50, batch=8),
    "conditional_detr_r101": lambda: conditional_detr("conditional_detr_r101", R101),
    "conditional_detr_dc5_r101": lambda: conditional_detr("conditional_detr_dc5_r101", DC5_R101, batch=8),
    "conditional_detr_r18": lambda: conditional_detr("conditional_detr_r18", Backbone(name="resnet18")),
    "conditional_detr_r34": lambda: conditional_detr("conditional_detr_r34", Backbone(name="resnet34")),
    "detr_r50": lambda: detr("detr_r50", R50),
    "detr_dc5_r50": lambda: detr("detr_dc5_r50", DC5_R50, batch=64),
    "detr_r101": lambda: detr("detr_r101", R101),
    "detr_dc5_r101": lambda: detr("detr_dc5_r101", DC5_R101, batch=64),
    "condetr_r50": condetr_r50,
    "small": small,
    "nano": nano,
}


DROPS = {  # (model, epochs): the last epoch before the drop of the learning rate, where its share is not the recipe's
    ("conditional_detr", 108): 80,
    ("detr", 500): 400,
    ("condetr", 24): 20,
}


def recipe(name: str) -> Config:
    """The config of a recipe. Raises ConfigError with the nearest name, CondetrError for what is no text."""
    if not isinstance(name, str):
        raise wrong(name, "recipe", "the name of a recipe")
    if name not in RECIPES:
        hint = did_you_mean(name, RECIPES) or f". The recipes are {', '.join(RECIPES)}"
        raise ConfigError(f"no such recipe{hint}", setting="recipe", value=describe(name))
    return RECIPES[name]()


def with_published_drop(config: Config) -> Config:
    """The config with the learning rate drop that the papers use for its number of epochs, where they name one and
    `train.drop_at` is still the recipe's."""
    family = "conditional_detr" if config.recipe.startswith("conditional_detr_") else config.recipe.partition("_")[0]
    drop = DROPS.get((family, config.train.epochs))
    if drop is None or config.recipe not in RECIPES or config.train.drop_at != recipe(config.recipe).train.drop_at:
        return config
    return override(config, {"train.drop_at": drop / config.train.epochs})


def matching(model: Model) -> str:
    """The name of the published recipe with exactly this model, or 'custom'."""
    return next((name for name, make in RECIPES.items() if make().model == model), "custom")
