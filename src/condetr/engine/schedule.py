"""The learning rate of every step of a run: it warms up, stays, and falls at the end."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import cos, floor, pi
from typing import final

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


def warmup_steps(share: float, steps: int) -> int:
    """The length of a warm-up that takes a share of the run's `steps`, at most 2000 steps."""
    return min(WARMUP_LIMIT, round(share * steps))


def drop_epoch(epochs: int, drop_at: float) -> int:
    """The epoch, from 0, after the fraction `drop_at` of all; never the first epoch."""
    return max(1, floor(epochs * drop_at + 1e-9))
