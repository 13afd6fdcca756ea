"""In how many bits the detector computes. Boxes, costs, losses, weights and their updates are always in 32."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from ..cpu.foreach import multiply_


class Precision(ABC):
    def forward(self) -> AbstractContextManager[object]:
        """The context of a forward pass."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def ready(self, optimizer: torch.optim.Optimizer) -> bool:
        """Give the gradients their true size; whether they can be used is known then."""
        return True

    def state(self) -> dict[str, float]:
        """What a resumed run needs to know."""
        return {}

    def resume(self, state: dict[str, float]) -> None:
        """Go on as the run that had this state would."""
        assert not state, "the state of another precision"

    @property
    @abstractmethod
    def bytes(self) -> int:
        """Of a value that is kept for the backward pass."""


class Full(Precision):
    bytes = 4


class Bfloat(Precision):
    bytes = 2

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def forward(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16)


class Half(Precision):
    """fp16 has a small range: the loss is scaled up so that small gradients survive, and steps whose gradients
    overflow are left out while the scale finds its size."""

    bytes = 2

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.scale, self.good = 2.0**16, 0

    def forward(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.float16)

    def backward(self, loss: Tensor) -> None:
        (loss * self.scale).backward()

    def ready(self, optimizer: torch.optim.Optimizer) -> bool:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        multiply_(gradients, 1 / self.scale)
        finite = bool(torch.isfinite(torch.nn.utils.get_total_norm(gradients)))
        self.good = self.good + 1 if finite else 0
        if not finite:
            self.scale /= 2
            return self.scale < 1  # no scale is to blame any more: let the step see what is no number, and say so
        if self.good == 2000:
            self.scale, self.good = self.scale * 2, 0
        return finite

    def state(self) -> dict[str, float]:
        return {"scale": self.scale, "good": self.good}

    def resume(self, state: dict[str, float]) -> None:
        self.scale, self.good = state["scale"], int(state["good"])


def precision(name: str, device: torch.device) -> Precision:
    """fp32, bf16 or fp16."""
    return {"fp32": lambda: Full(), "bf16": lambda: Bfloat(device), "fp16": lambda: Half(device)}[name]()
