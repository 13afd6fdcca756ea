"""AdamW as both papers use it: two rates, decay on everything, gradients of limited norm, one drop of the rate."""

from collections.abc import Iterable
from math import floor

import torch
from torch import Tensor, nn

from ..config import Train
from ..cpu.foreach import multiply_
from ..shapes import Float


def adamw(learner: nn.Module, train: Train) -> torch.optim.AdamW:
    """Two groups, the backbone's and the rest, in that order; frozen parameters are in none of them.

    `learner` is a detector, or holds one as `detector`.

    Weight decay is on every parameter, norms and biases too (both official codes).
    """
    learning = {name.removeprefix("detector."): p for name, p in learner.named_parameters() if p.requires_grad}
    backbone = [p for name, p in learning.items() if name.startswith("backbone.")]
    rest = [p for name, p in learning.items() if not name.startswith("backbone.")]
    groups = [{"params": backbone, "scale": train.backbone_lr}, {"params": rest, "scale": 1.0}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=train.lr, weight_decay=train.weight_decay, fused=True
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The rate of the next step; each group keeps its multiple of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def drop_epoch(train: Train) -> int:
    """The epoch, from 0, with which the rate is a tenth; the first is always a whole one."""
    return max(1, floor(train.epochs * train.drop_at + 1e-9))


def rate(train: Train, epoch: int, step: int) -> float:
    """The rate of a step, a function of where it is alone: `epoch` from 0, `step` from 0 over the whole run.

    It grows linearly over the warm-up and is a tenth from `drop_epoch` on.
    """
    dropped = epoch >= drop_epoch(train)
    warm = min(1.0, (step + 1) / train.warmup_steps) if train.warmup_steps else 1.0
    return train.lr * warm * (0.1 if dropped else 1.0)


def clip(parameters: Iterable[nn.Parameter], norm: float) -> Float[Tensor, ""]:
    """Scale all gradients so that their common norm is at most `norm` (0: leave them); returns what it was."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    total = torch.nn.utils.get_total_norm(gradients)
    if norm:
        multiply_(gradients, (norm / (total + 1e-6)).clamp(max=1.0))
    return total
