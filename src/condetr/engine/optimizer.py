"""AdamW as both papers use it: two learning rates, weight decay on every parameter, clipped gradients."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..cpu.foreach import multiply_
from ..shapes import Float


def adamw(learner: nn.Module, lr: float, backbone_lr: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW with groups for the backbone, the rest, and the box biases, in that order; frozen parameters are in none.

    `learner` is a detector, or a module with a detector as its attribute `detector`. `backbone_lr` is a multiple of
    `lr`. Weight decay applies to every parameter, norms and biases too (as in both official codes), but not to the box
    biases of the cross-attention (as in Plain-DETR).
    """
    learning = {name.removeprefix("detector."): p for name, p in learner.named_parameters() if p.requires_grad}
    backbone = [p for name, p in learning.items() if name.startswith("backbone.")]
    box_biases = [p for name, p in learning.items() if ".box_biases." in name]
    others = {id(p) for p in (*backbone, *box_biases)}
    rest = [p for p in learning.values() if id(p) not in others]
    groups: list[dict[str, Any]] = [
        {"params": backbone, "scale": backbone_lr},
        {"params": rest, "scale": 1.0},
        {"params": box_biases, "scale": 1.0, "weight_decay": 0.0},
    ]
    used = [group for group in groups if group["params"]]
    return torch.optim.AdamW(used, lr=lr, weight_decay=weight_decay, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of the next step; each group keeps its multiple of it."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["scale"]


def clip(parameters: Iterable[nn.Parameter], norm: float) -> Float[Tensor, ""]:
    """Scale all gradients so that their joint norm is at most `norm` (0: no clipping); returns the norm before."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    total = torch.nn.utils.get_total_norm(gradients)
    if norm:
        multiply_(gradients, (norm / (total + 1e-6)).clamp(max=1.0))
    return total
