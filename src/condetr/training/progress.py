"""What a training says while it runs, as values: a terminal shows them, a notebook plots them, a test compares them."""

from collections.abc import Callable
from dataclasses import dataclass

from .plan import Plan


@dataclass(frozen=True, slots=True)
class Told:
    """Something a person should know, in one line."""

    line: str


@dataclass(frozen=True, slots=True)
class Looked:
    """Images that the doctor has looked at, of all."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Planned:
    """What will happen, before the first step."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Stepped:
    """One optimizer step: the loss that was minimised, the last layer's terms, the gradients' norm before clipping.

    `epoch` and `step` count from 1; `seconds_left` is an estimate.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    classes: float
    l1: float
    giou: float
    norm: float
    lr: float
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Evaluating:
    """Images of `valid` that this process has answered, of its share."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: means over its steps, and COCO's numbers on `valid` where they were taken (else None)."""

    epoch: int
    step: int
    loss: float
    classes: float
    l1: float
    giou: float
    norm: float
    lr: float
    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar100: float | None
    best_ap: float | None
    seconds: float


Event = Told | Looked | Planned | Stepped | Evaluating | Epoch
Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Says nothing."""
