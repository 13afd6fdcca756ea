"""What happens in a training, as events: a terminal shows them, a notebook plots them, a test compares them."""

from collections.abc import Callable
from dataclasses import dataclass

from ..plural import counted
from .plan import Plan


@dataclass(frozen=True, slots=True)
class Message:
    """Something the user should know, in one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Examining:
    """The doctor has examined `done` of `total` images."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan, before the first step."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step: the total loss, the last layer's terms, and the gradient norm before clipping.

    `epoch` and `step` (within the epoch) count from 1; `seconds_left` is an estimate for the whole run.
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
    """This process has predicted `done` of its `total` images of `valid`."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Stopping:
    """A signal was received: reported at once, from another thread.

    The run stops after its current step, or `now`, at the second signal, with KeyboardInterrupt. `kept` is the position
    (epoch and its steps, from 1) of the newest state on disk, None before the first. Before the first step of this
    process, `stepping` is False, and the run stops without one.
    """

    number: int
    now: bool
    kept: tuple[int, int] | None
    stepping: bool = True

    def __str__(self) -> str:
        """One line for a person."""
        state = "no state has been saved yet"
        if self.kept is not None:
            epoch, steps = self.kept
            position = f"after {counted(steps, 'step')}" if steps else "from the beginning"
            state = f"the newest state is {position} of epoch {epoch}"
        if self.now:
            return f"stopped at once; {state}"
        when = "after this step" if self.stepping else "before the first step"
        return f"stopping {when}; interrupt again to stop at once ({state})"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch, counted from 1: means over its steps, and the COCO metrics on `valid` (None where not evaluated).

    `loss` is the total over all decoder layers; `classes`, `l1` and `giou` are the last layer's terms; `step` is the
    number of optimizer steps since the run began.
    """

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


@dataclass(frozen=True, slots=True)
class Profiled:
    """Where the time of an epoch of one `kind` goes.

    `in_step` has the seconds of each part in a step, the means over `measured` steps; an epoch has `steps` of them.
    `in_epoch` has the seconds of what is done once in an epoch, or in several: then these are its share.
    """

    kind: str
    measured: int
    steps: int
    in_step: dict[str, float]
    in_epoch: dict[str, float]


Event = Message | Examining | Planned | Step | Evaluating | Stopping | Epoch | Profiled
Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore the event."""
