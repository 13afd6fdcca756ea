"""A training as a person follows it: one live table in a terminal, plain lines anywhere else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .plan import Plan, duration
from .progress import Epoch, Evaluating, Event, Looked, Planned, Progress, Stepped, Told

ROWS = 12  # epochs that stay in sight
QUIET = 30.0  # seconds from one plain line about steps to the next
COLUMNS = ("epoch", "loss", "classes", "l1", "giou", "AP", "AP50", "AP75", "rate", "time")


class Follower:
    """Takes the events of a training; `shown` is what a terminal has in sight. Plain lines go to `say`."""

    def __init__(self, console: Console) -> None:
        self.console, self.live = console, console.is_terminal
        self.epochs: list[Epoch] = []
        self.now: Text = Text("")
        self.step: Stepped | None = None
        self.spoke = time.monotonic()

    def __call__(self, event: Event) -> None:
        match event:
            case Told(line):
                self.say(line)
            case Planned(plan):
                self.console.print(planned(plan))
            case Looked(done, total):
                self.now = Text(f"doctor: {done} of {total} images looked at")
            case Stepped():
                self.step, self.now = event, Text(step_line(event))
                if not self.live and (event.step == event.steps or time.monotonic() - self.spoke > QUIET):
                    self.say(step_line(event))
            case Evaluating(done, total):
                self.now = Text(f"evaluating: {done} of {total} images")
            case Epoch():
                self.epochs.append(event)
                if not self.live:
                    self.say(epoch_line(event))

    def say(self, line: str) -> None:
        self.spoke = time.monotonic()
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def __rich__(self) -> RenderableType:
        return Group(table(self.epochs), self.now) if self.epochs else self.now


@contextmanager
def following(console: Console) -> Iterator[Progress]:
    """Shows a training for the length of the block; the table stays when it is over."""
    follower = Follower(console)
    if not follower.live:
        yield follower
        return
    with Live(follower, console=console, refresh_per_second=4) as live:
        yield follower
        follower.now = Text("")
        live.refresh()


def planned(plan: Plan) -> Table:
    shown = Table(show_header=False, box=None, pad_edge=False)
    for what, how_much in plan.lines():
        shown.add_row(Text(what, style="dim"), Text(how_much))
    return shown


def step_line(step: Stepped) -> str:
    terms = f"loss {step.loss:.3f} (classes {step.classes:.3f}, l1 {step.l1:.3f}, giou {step.giou:.3f})"
    speed = f"{step.images_per_second:.1f} images/s, {duration(step.seconds_left)} left"
    return f"epoch {step.epoch}/{step.epochs}, step {step.step}/{step.steps}: {terms}, rate {step.lr:.2g}, {speed}"


def epoch_line(epoch: Epoch) -> str:
    score = "not evaluated" if epoch.ap is None else f"AP {epoch.ap:.3f}, AP50 {epoch.ap50:.3f}, AP75 {epoch.ap75:.3f}"
    best = "" if epoch.best_ap is None else f", best {epoch.best_ap:.3f}"
    return f"epoch {epoch.epoch}: loss {epoch.loss:.3f}, {score}{best}, {duration(epoch.seconds)}"


def table(epochs: list[Epoch]) -> Table:
    shown = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        shown.add_column(column, justify="right")
    for epoch in epochs[-ROWS:]:
        best = epoch.ap is not None and epoch.ap == epoch.best_ap
        scores = ("" if x is None else f"{x:.3f}" for x in (epoch.ap, epoch.ap50, epoch.ap75))
        terms = (f"{x:.3f}" for x in (epoch.loss, epoch.classes, epoch.l1, epoch.giou))
        row = (str(epoch.epoch), *terms, *scores, f"{epoch.lr:.1e}", duration(epoch.seconds))
        shown.add_row(*row, style="bold" if best else "")
    return shown
