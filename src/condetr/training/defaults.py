"""What a run without a recipe trains: chosen from the device and from what it is initialised from.

On a CPU that is the recipe `small`. On a GPU it is the published model, fine-tuned from its COCO weights: on a few
hundred images, weights of a detector are worth more than any recipe that starts from a classifier.
"""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from ..checkpoint import load_config
from ..config import Config, Train
from ..errors import WeightsError
from ..plural import counted
from ..recipes import RECIPES, recipe

PUBLISHED = "microsoft/conditional-detr-resnet-50"
STEPS = 3000  # of a fine-tuning: Hugging Face's guide takes 3,200 for this model on 850 images
EPOCHS = (20, 50)  # at least and at most
BATCHES = ((250, 4), (5000, 8))  # (fewer images than this, images in a batch)
LARGEST_BATCH = 16
WARMUP = 0.05  # of the steps, for the layers whose weights are new


@dataclass(frozen=True, slots=True)
class Default:
    """What to train where no recipe is given. `chosen` says what it is and why, `alternative` is another call."""

    base: Config
    fine_tuned: bool
    chosen: str
    alternative: str

    def config(self, images: int) -> Config:
        """The config for a number of training images."""
        if not self.fine_tuned:
            return self.base
        return self.base.model_copy(update={"train": fine_tuning(self.base.train, images)})

    def note(self, config: Config) -> str:
        """`chosen`, with the training settings of a fine-tuning."""
        if not self.fine_tuned:
            return self.chosen
        train, known = config.train, self.base.recipe if self.base.recipe in RECIPES else "the defaults"
        return (
            f"{self.chosen}; model and image settings are those of the weights, training settings those of {known} for "
            f"fine-tuning: half of its lr ({train.lr:g}), batch {train.batch}, {counted(train.epochs, 'epoch')}"
        )


def default(device: str, init: Any, data: Path | str) -> Default:
    """The choice for a device (`cpu`, `cuda:1`, …) and what `init` names, None where it is not given.

    Of the weights of a detector only the config is read. Raises WeightsError where it cannot be.
    """
    if is_detector(init):
        return Default(_base(str(init)), True, f"fine-tuned from {init}", "")
    gpu = device.partition(":")[0] in ("cuda", "mps")
    if init is None and gpu:
        try:
            base = _base(PUBLISHED)
        except WeightsError as error:
            raise WeightsError(f"{error}, or train from scratch with `recipe='nano'`") from None
        why = f"a GPU was found ({device}), so the published model is fine-tuned from its COCO weights"
        small = f"`condetr.train({str(data)!r}, recipe='small')` (a smaller and faster model)"
        return Default(base, True, why, small)
    if gpu:
        return Default(recipe("conditional_detr_r50"), False, f"a GPU was found ({device})", "")
    published = f"`condetr.train({str(data)!r}, init={PUBLISHED!r})` (the published model, fine-tuned: slower)"
    return Default(recipe("small"), False, "no GPU was found", published)


def is_detector(init: Any) -> bool:
    """Whether `train.init` names the weights of a detector: a folder or a hub id."""
    if not isinstance(init, str) or init in ("imagenet", "none") or init.startswith("imagenet@"):
        return False
    return not Path(init).is_file()


def fine_tuning(train: Train, images: int) -> Train:
    """The training settings of a recipe, changed for fine-tuning a detector on a number of images.

    The learning rate is half of the recipe's (5e-5 for the published model, the backbone's a tenth of it) and grows
    during the first 5 % of the steps, as the class head is new. Batches are small where images are few, and the epochs
    give about 3,000 steps, but are 20 to 50. Hugging Face's guide to object detection fine-tunes the same weights on
    850 images with a learning rate of 5e-5, batches of 8 and 30 epochs.
    """
    batch = min(train.batch, next((size for limit, size in BATCHES if images < limit), LARGEST_BATCH))
    epochs = min(EPOCHS[1], max(EPOCHS[0], ceil(STEPS * batch / max(1, images))))
    changes = {"lr": train.lr / 2, "batch": batch, "epochs": epochs, "steps": 0, "warmup": WARMUP, "warmup_steps": 0}
    return train.model_copy(update=changes)


def _base(init: str) -> Config:
    """The config of weights, with the training settings of their recipe."""
    source = load_config(init)
    train = recipe(source.recipe).train if source.recipe in RECIPES else Train()
    # weights of an earlier version of the recipe may have no anchors
    fitting = {} if source.model.decoder.kind == "refining" else {"denoising": 0}
    return Config(
        recipe=source.recipe, model=source.model, data=source.data, loss=source.loss,
        train=train.model_copy(update={"init": init, **fitting}),
    )  # fmt: skip
