"""What a person is told of a run whose detector finds nothing: it is no result, and what can be tried."""

from math import ceil

from ..config import Train
from ..plural import counted
from .defaults import PUBLISHED, is_detector

FEW_STEPS = 500  # a run of fewer steps is too short, whatever its other settings
LOW_LR = 1e-5


def nothing_learned(ap: float, epochs: int, steps: int, train: Train) -> str:
    """One line about a run whose best AP on `valid` is `ap` after `epochs` epochs of together `steps` optimizer steps:
    fewer epochs than `train.epochs` where `train.patience` has ended it."""
    longer = max(train.epochs, epochs * max(2, ceil(FEW_STEPS / steps)))
    on = ", settings={'train.patience': 0}" if epochs < train.epochs else ""
    ways = [f"train longer: `resume=True, epochs={longer}{on}`"]
    if steps >= FEW_STEPS:
        ways.append(f"use another learning rate: `lr={train.lr * 3 if train.lr < LOW_LR else train.lr / 3:.0e}`")
    if not is_detector(train.init):
        ways.append(f"start from a trained detector: `init={PUBLISHED!r}`")
    ways.append("check the labels with `condetr doctor`")
    return (
        f"nothing was learned in {counted(steps, 'step')}: the best AP on valid is {ap:.3f}, so no thresholds are "
        f"saved, and the weights are of no use. To try: {'; '.join(ways)}"
    )
