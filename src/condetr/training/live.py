"""The progress of a training: a live table in a terminal, plain lines anywhere else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..plural import counted
from ..reports.terminal import Column, FittedTable, printable, redraws
from .plan import Plan, duration
from .progress import Epoch, Evaluating, Event, Examining, Message, Planned, Profiled, Progress, Step, Stopping

PARTS = ("reading", "backbone", "encoder", "decoder", "matching", "loss", "optimizer", "average")  # of a profile
ROWS = 12  # epochs that the table shows
LINE_INTERVAL = 30.0  # seconds between two plain lines about steps
COLUMNS = (
    Column("epoch"), Column("loss"), Column("classes", drop=3), Column("l1", drop=3), Column("giou", drop=3),
    Column("AP"), Column("AP50"), Column("AP75", drop=2), Column("lr", drop=1), Column("time"),
)  # fmt: skip


class LiveProgress:
    """Receives the events of a training. In a terminal it is what `rich` redraws; elsewhere it prints plain lines."""

    def __init__(self, console: Console, worded: Callable[[str], str] = str) -> None:
        self.console, self.live, self.worded = console, redraws(console), worded
        self.epochs: list[Epoch] = []
        self.status = Text("")
        self.printed_at = time.monotonic()

    def __call__(self, event: Event) -> None:
        match event:
            case Message(text):
                self.print(text)
            case Planned(plan):
                self.console.print(plan_table(plan, self.worded))
                if plan.alternative:  # not in the table, whose cells are broken into lines: a command can be copied
                    self.print(f"{'instead':15}{plan.alternative}")
            case Examining(done, total):
                self.status = Text(f"doctor: {done:,} of {counted(total, 'image')} examined")
            case Step():
                self.status = Text(step_line(event))
                if not self.live and (event.step == event.steps or time.monotonic() - self.printed_at > LINE_INTERVAL):
                    self.print(step_line(event))
            case Stopping():
                self.print(str(event))
            case Evaluating(done, total):
                self.status = Text(f"evaluating: {done:,} of {counted(total, 'image')}")
            case Epoch():
                self.epochs.append(event)
                if not self.live:
                    self.print(epoch_line(event))

            case Profiled():
                self.console.print(profile_table(event))

    def print(self, line: str) -> None:
        self.printed_at = time.monotonic()
        self.console.print(printable(self.worded(line)), markup=False, highlight=False, soft_wrap=True)

    def __rich__(self) -> RenderableType:
        return Group(epoch_table(self.epochs), self.status) if self.epochs else self.status


@contextmanager
def live_progress(console: Console, worded: Callable[[str], str] = str) -> Iterator[Progress]:
    """Show a training while the block runs; the table of the epochs stays afterwards. `worded` rewrites each line."""
    progress = LiveProgress(console, worded)
    if not progress.live:
        yield progress
        return
    with Live(progress, console=console, refresh_per_second=4) as live:
        yield progress
        progress.status = Text("")
        live.refresh()


def plan_table(plan: Plan, worded: Callable[[str], str] = str) -> Table:
    """The plan as two columns."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in plan.lines():
        table.add_row(Text(name, style="dim"), Text(printable(worded(value))))
    return table


def epoch_table(epochs: list[Epoch]) -> FittedTable:
    """The last epochs, the best ones in bold."""
    table = FittedTable(*COLUMNS)
    for epoch in epochs[-ROWS:]:
        best = epoch.ap is not None and epoch.ap == epoch.best_ap
        scores = ("" if x is None else f"{x:.3f}" for x in (epoch.ap, epoch.ap50, epoch.ap75))
        losses = (f"{x:.3f}" for x in (epoch.loss, epoch.classes, epoch.l1, epoch.giou))
        row = (str(epoch.epoch), *losses, *scores, f"{epoch.lr:.1e}", duration(epoch.seconds))
        table.add_row(*row, style="bold" if best else "")
    return table


def profile_table(profile: Profiled) -> FittedTable:
    """The time of each part in a step, and its share of an epoch."""
    table = FittedTable(
        Column("part", kind="word"), Column("forward"), Column("backward"), Column("epoch"), Column("share"),
        title=f"time of a step {profile.kind}, mean of {counted(profile.measured, 'step')}",
    )  # fmt: skip
    in_step, in_epoch = profile.in_step, profile.in_epoch
    total = profile.steps * sum(in_step.values()) + sum(in_epoch.values())
    named = {f"{part}{ending}" for part in PARTS for ending in ("", " backward")}
    for part in (*PARTS, *sorted(in_step.keys() - named)):
        passes = [in_step.get(part), in_step.get(f"{part} backward")]
        seconds = profile.steps * sum(each or 0.0 for each in passes)
        if seconds:
            cells = ("" if each is None else f"{1000 * each:.1f} ms" for each in passes)
            table.add_row(part, *cells, f"{seconds:.1f} s", f"{100 * seconds / total:.0f} %")
    for part, seconds in in_epoch.items():
        table.add_row(
            "writing files" if part == "files" else part, "", "", f"{seconds:.1f} s", f"{100 * seconds / total:.0f} %"
        )
    return table


def step_line(step: Step) -> str:
    """One step in one line."""
    losses = f"loss {step.loss:.3f} (classes {step.classes:.3f}, l1 {step.l1:.3f}, giou {step.giou:.3f})"
    speed = f"{step.images_per_second:.1f} images/s, {duration(step.seconds_left)} left"
    return f"epoch {step.epoch}/{step.epochs}, step {step.step}/{step.steps}: {losses}, lr {step.lr:.2g}, {speed}"


def epoch_line(epoch: Epoch) -> str:
    """One epoch in one line."""
    score = "not evaluated" if epoch.ap is None else f"AP {epoch.ap:.3f}, AP50 {epoch.ap50:.3f}, AP75 {epoch.ap75:.3f}"
    best = "" if epoch.best_ap is None else f", best {epoch.best_ap:.3f}"
    return f"epoch {epoch.epoch}: loss {epoch.loss:.3f}, {score}{best}, {duration(epoch.seconds)}"
