"""A comparison on a terminal: the plan and the runs as lines, the results as tables."""

from rich.console import Group, RenderableType
from rich.text import Text

from ..plural import counted
from ..reports.terminal import Column, FittedTable
from ..training.plan import duration, images
from .convergence import SHARES, Convergence
from .plan import Event
from .runner import EpochDone, RunEnded
from .sentences import reference_not_learned, schedules_text, too_few_evaluations
from .statistics import FEWEST_SEEDS, Difference, Interval, Spread
from .study import read_result

KEPT = 0.9  # the share that is shown on the narrowest terminal


def tables(results: Convergence) -> RenderableType:
    """The final AP of each schedule, and the epochs to reach the levels of the reference."""
    if not results.learned:
        return Text(reference_not_learned(results))
    if not results.reference_learned:
        return Group(final_table(results), Text(), Text(reference_not_learned(results)))
    note = too_few_evaluations(results, SHARES[0])
    return Group(final_table(results), target_table(results), *([Text(note)] if note else []))


def final_table(results: Convergence) -> FittedTable:
    """A row for each model and schedule: AP, and the gain and the time of an epoch beside the reference's.

    A single schedule is named in the title instead of a column.
    """
    schedules = {final.epochs for final in results.finals}
    spread = any(final.ap.high is not None for final in results.finals)  # one seed: no interval
    of = f" of {counted(min(schedules), 'epoch')}" if len(schedules) == 1 else ""
    columns = {
        "epochs": Column("epochs") if len(schedules) > 1 else None,
        "ap": Column("AP"),
        "spread": Column("± 95 %", drop=2) if spread else None,
        "gain": Column("gain"),
        "time": Column("time", drop=1),
        "p": Column("p", drop=3),
        "significance": Column("", drop=4, kind="text"),
    }
    shown = {key: column for key, column in columns.items() if column is not None}
    table = FittedTable(
        Column("model", kind="word"), *shown.values(),
        title=f"after complete schedules{of}; gain in AP over {results.reference}; time per epoch, "
        f"{results.reference} = 1",
    )  # fmt: skip
    for final in results.finals:
        gain, p, significance = _difference(final.difference)
        cells = {
            "epochs": str(final.epochs), "ap": f"{final.ap.mean:.3f}", "spread": _half_width(final.ap),
            "gain": gain, "time": "" if final.relative_time is None else _median(final.relative_time, 2), "p": p,
            "significance": significance,
        }  # fmt: skip
        table.add_row(final.model, *(cells[key] for key in shown))
    return table


def target_table(results: Convergence) -> FittedTable:
    """A row for each model: the epochs to each share of the reference's best AP, and the ratio to the reference's."""
    shares = list(dict.fromkeys(target.share for target in results.targets))
    drop = {share: order for order, share in enumerate(sorted(shares, key=lambda share: abs(share - KEPT)))}
    epochs = [Column(f"{share:.0%}", drop=drop[share]) for share in shares]
    ratios = [Column(f"× {share:.0%}", drop=drop[share]) for share in shares]
    title = f"epochs to reach a share of {results.reference}'s best AP; × how many times fewer (below 1: more)"
    table = FittedTable(Column("model", kind="word"), *epochs, *ratios, title=title)
    for model in dict.fromkeys(target.model for target in results.targets):
        own = [target for target in results.targets if target.model == model]
        table.add_row(model, *(_median(t.epochs, 0) for t in own), *(_median(t.ratio_epochs, 1) for t in own))
    return table


def lines(event: Event) -> list[str]:
    """An event as lines: several for the plan, one for a run that ended, none for an epoch."""
    if isinstance(event, EpochDone):
        return []
    if isinstance(event, RunEnded):
        how = "failed: " + event.problem if event.problem else f"finished in {duration(event.seconds)}"
        return [f"{event.run.name}: {how}{_final_ap(event)}"]
    request, schedule = event.request, event.schedule
    sizes = ", ".join(f"{number:,} {name}" for name, number in images(event.data).items())
    sides = sorted({config.data.size for config in request.models.values()})
    finished = len(event.runs) - len(event.remaining)
    left = "all finished" if event.seconds is None else f"about {duration(event.seconds)} left"
    plan = [
        f"{event.data.name}: {sizes}; short side {', '.join(map(str, sides))} pixels",
        f"{', '.join(request.models)}; reference {request.reference}",
        f"{schedules_text(schedule.epochs)}, {counted(schedule.seeds, 'seed')}: {counted(len(event.runs), 'run')}, "
        f"{finished} finished, {left} on {event.device}, {event.jobs} at a time",
    ]
    fitted = [f"to fit {request.budget:g} minutes: {'; '.join(schedule.notes)}"] if schedule.notes else []
    return [*plan, *fitted]


def _final_ap(event: RunEnded) -> str:
    result = None if event.problem else read_result(event.run, None)
    return f", AP {result.points[-1].ap:.3f}" if result else ""


def _half_width(value: Interval) -> str:
    return "" if value.high is None else f"{value.high - value.mean:.3f}"


def _difference(value: Difference | None) -> tuple[str, str, str]:
    if value is None:
        return "", "", ""
    p = "–" if value.holm is None or value.seeds < FEWEST_SEEDS else f"{value.holm:.3f}"
    return f"{value.mean:+.3f}", p, value.significance


def _median(values: Spread, digits: int) -> str:
    return "–" if values.median is None else f"{values.median:.{digits}f}"
