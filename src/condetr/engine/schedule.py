"""The learning rate of every step of a run: it warms up, stays, and falls at the end."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import cos, floor, pi
from typing import final

from ..config import Train

WARMUP_LIMIT = 2000  # steps; a share of a long run is cut to it
FINAL = 0.05  # of lr, at the end of the cosine


@dataclass(frozen=True, slots=True)
class Schedule(ABC):
    """`lr` is the learning rate between warm-up and decay, `warmup` the steps of the warm-up."""

    lr: float
    warmup: int

    @abstractmethod
    def __call__(self, epoch: int, step: int) -> float:
        """The learning rate of a step: `epoch` counts from 0, `step` from 0 over the whole run."""

    @property
    @abstractmethod
    def decay(self) -> str:
        """How the learning rate falls, in words for the plan; empty where it does not."""

    def _warm(self, step: int) -> float:
        """The share of the warm-up that is over, at most 1."""
        return min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0


@final
@dataclass(frozen=True, slots=True)
class Steps(Schedule):
    """A linear warm-up, and a tenth of the learning rate from the epoch `drop` on: the schedule of both papers."""

    drop: int
    epochs: int

    def __call__(self, epoch: int, step: int) -> float:
        return self.lr * self._warm(step) * (0.1 if epoch >= self.drop else 1.0)

    @property
    def decay(self) -> str:
        return f"divided by 10 after epoch {self.drop}" if self.drop < self.epochs else ""


@final
@dataclass(frozen=True, slots=True)
class FlatCosine(Schedule):
    """A quadratic warm-up, the full learning rate for half of the run's `steps`, then half a cosine to a twentieth
    (RTMDet, Lyu et al. 2022; RT-DETR's successors use it with the quadratic warm-up)."""

    steps: int

    def __call__(self, epoch: int, step: int) -> float:
        flat = self.steps / 2
        fallen = min(1.0, max(0.0, (step - flat) / (self.steps - flat)))
        return self.lr * self._warm(step) ** 2 * (FINAL + (1 - FINAL) * (1 + cos(pi * fallen)) / 2)

    @property
    def decay(self) -> str:
        return f"along a cosine to {self.lr * FINAL:g} in the second half"


def schedule(train: Train, steps_per_epoch: int) -> Schedule:
    """The schedule that `train` describes."""
    steps = train.epochs * steps_per_epoch
    warmup = warmup_steps(train, steps)
    if train.schedule == "flat_cosine":
        return FlatCosine(train.lr, warmup, steps)
    return Steps(train.lr, warmup, drop_epoch(train), train.epochs)


def warmup_steps(train: Train, steps: int) -> int:
    """The steps of the warm-up: those given, or a share of the run's `steps`, at most 2000."""
    return train.warmup_steps or min(WARMUP_LIMIT, round(train.warmup * steps))


def drop_epoch(train: Train) -> int:
    """The epoch, from 0, from which the learning rate is a tenth; never the first epoch."""
    return max(1, floor(train.epochs * train.drop_at + 1e-9))
