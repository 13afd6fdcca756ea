"""A comparison at a terminal: its plan and its runs, what each schedule ended with, and when levels were reached."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..training.plan import counted, duration, images
from . import study
from .compared import Event
from .runner import Advanced, Ended
from .spread import FEWEST, Difference, Interval, Spread
from .statistics import Comparison
from .words import not_begun


def shown(comparison: Comparison) -> RenderableType:
    """The final tables, 80 characters wide."""
    reference = comparison.reference
    ends = _table("model", "epochs", "AP ± 95 %", "gap", "p")
    ends.add_column("")
    for final in comparison.finals:
        ends.add_row(final.model, str(final.epochs), _mean(final.ap), *_gap(final.difference))
    shares = list(dict.fromkeys(target.share for target in comparison.targets))
    reach = _table("model", *(f"{share:.0%}" for share in shares), *(f"× {share:.0%}" for share in shares))
    for model in dict.fromkeys(target.model for target in comparison.targets):
        own = [target for target in comparison.targets if target.model == model]
        reach.add_row(model, *(_median(t.epochs, 0) for t in own), *(_median(t.ratio_epochs, 1) for t in own))
    levels: tuple[RenderableType, ...] = (
        Text(
            f"epochs to reach a share of {reference}'s best AP, and how many times fewer (below 1: more)", style="bold"
        ),
        reach,
    )
    if not comparison.begun:
        levels = (Text(not_begun(comparison)),)
    return Group(Text(f"after complete schedules; the gap is to {reference}", style="bold"), ends, *levels)


def lines(event: Event) -> list[str]:
    """What an event says to a person: the plan in a few lines, a finished run in one."""
    if isinstance(event, Advanced):
        return []
    if isinstance(event, Ended):
        how = "failed: " + event.problem if event.problem else f"done in {duration(event.seconds)}"
        return [f"{event.run.name}: {how}{_final_ap(event)}"]
    asked, fitted = event.asked, event.fitted
    sizes = ", ".join(f"{number:,} {name}" for name, number in images(event.data).items())
    sides = sorted({config.data.size for config in asked.models.values()})
    schedules = ", ".join(map(str, fitted.epochs))
    done = len(event.runs) - len(event.left)
    left = "nothing is left to do" if event.seconds is None else f"about {duration(event.seconds)} to go"
    plan = [
        f"{event.data.name}: {sizes}; short side {', '.join(map(str, sides))} pixels",
        f"{', '.join(asked.models)}; reference {asked.reference}",
        f"schedules of {schedules} epochs, {counted(fitted.seeds, 'seed')}: {len(event.runs)} runs, {done} done, "
        f"{left} on {event.device}, {event.jobs} at a time",
    ]
    return [*plan, *([f"to fit {asked.budget:g} minutes: {'; '.join(fitted.notes)}"] if fitted.notes else [])]


def _final_ap(event: Ended) -> str:
    outcome = None if event.problem else study.finished(event.run, None)
    return f", AP {outcome.points[-1].ap:.3f}" if outcome else ""


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _mean(value: Interval) -> str:
    return f"{value.mean:.3f}" + ("" if value.high is None else f" ± {value.high - value.mean:.3f}")


def _gap(value: Difference | None) -> tuple[str, str, str]:
    if value is None:
        return "", "", ""
    p = "–" if value.holm is None or value.seeds < FEWEST else f"{value.holm:.3f}"
    return f"{value.mean:+.3f}", p, value.verdict


def _median(values: Spread, digits: int) -> str:
    return "–" if values.median is None else f"{values.median:.{digits}f}"
