"""The number of epochs of a run: more of them where images are few, so that the number of steps suffices."""

from ..config import Config, override
from ..plural import counted

FEWEST, MOST = 10, 50  # epochs that are chosen


def resolve_epochs(config: Config, images: int) -> Config:
    """The config with `train.steps` applied to a number of training images: `train.epochs` is final, and `train.steps`
    is 0."""
    train = config.train
    if not train.steps:
        return config
    epochs = round(train.steps * train.batch / max(1, images))
    return override(config, {"train.epochs": min(MOST, max(FEWEST, epochs))})


def epochs_messages(requested: Config, resolved: Config, images: int) -> list[str]:
    """What the user should know about the number of epochs, in lines: that it was chosen."""
    usual, epochs = requested.train.epochs, resolved.train.epochs
    if epochs == usual:
        return []
    return [
        f"{counted(images, 'image')} to train on: {counted(epochs, 'epoch')} instead of {usual}, for about "
        f"{epochs * images // requested.train.batch:,} steps; `epochs={usual}` keeps the recipe's number"
    ]
