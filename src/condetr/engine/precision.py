"""The precision of the forward pass. Boxes, costs, losses, weights and optimizer steps are always in fp32."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


class Precision(ABC):
    """How one step computes: `forward` and `backward`, then `unscale` the gradients, then `step`."""

    def forward(self) -> AbstractContextManager[object]:
        """The context of a forward pass."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:  # noqa: B027 (only a scaled loss needs it)
        """Divide the gradients by the factor that `backward` multiplied the loss by."""

    @property
    def may_overflow(self) -> bool:
        """Whether infinite gradients may come from the loss scale, so that the step is skipped."""
        return False

    def step(self, optimizer: torch.optim.Optimizer) -> bool:
        """Take the optimizer's step; returns whether the weights have changed."""
        optimizer.step()
        return True

    def state(self) -> dict[str, float]:
        """What a resumed run needs."""
        return {}

    def resume(self, state: dict[str, float]) -> None:
        """Continue from a `state`."""
        assert not state, "the state of another precision"

    @property
    @abstractmethod
    def bytes(self) -> int:
        """Bytes of each value that is kept for the backward pass."""


class Float32(Precision):
    """Everything in fp32."""

    bytes = 4


class BFloat16(Precision):
    """The forward pass under autocast; bf16 has the range of fp32, so that the loss is not scaled."""

    bytes = 2

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def forward(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16)


class Float16(Precision):
    """fp16 with `torch.amp.GradScaler`: the loss is scaled up so that small gradients do not underflow, and steps whose
    gradients overflow are skipped while the scale adapts."""

    bytes = 2

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.scaler = torch.amp.GradScaler(device.type)

    def forward(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.float16)

    def backward(self, loss: Tensor) -> None:
        self.scaler.scale(loss).backward()

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        self.scaler.unscale_(optimizer)

    @property
    def may_overflow(self) -> bool:
        return self.scaler.get_scale() >= 1  # below 1 the scale is not the cause: the loss or a gradient is infinite

    def step(self, optimizer: torch.optim.Optimizer) -> bool:
        before = self.scaler.get_scale()
        self.scaler.step(optimizer)
        self.scaler.update()
        return self.scaler.get_scale() >= before

    def state(self) -> dict[str, float]:
        return self.scaler.state_dict()

    def resume(self, state: dict[str, float]) -> None:
        saved: dict[str, Any] = dict(state)
        if "good" in saved:  # as written before the scaler was torch's
            saved["_growth_tracker"] = saved.pop("good")
        self.scaler.load_state_dict({**self.scaler.state_dict(), **saved})


def precision(name: str, device: torch.device) -> Precision:
    """The precision called `fp32`, `bf16` or `fp16`."""
    return {"fp32": lambda: Float32(), "bf16": lambda: BFloat16(device), "fp16": lambda: Float16(device)}[name]()
