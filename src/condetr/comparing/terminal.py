"""A comparison at a terminal: what each schedule ended with, and when each model reached the reference's level."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

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
