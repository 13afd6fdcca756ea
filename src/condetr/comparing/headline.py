"""The first lines of a comparison's page: its main numbers as tiles for a few models, as a table for many."""

from collections.abc import Sequence

from ..plural import counted, percent
from ..reports.page import Page
from ..reports.tables import Cell, Column
from .convergence import Convergence, Final, Target
from .sentences import (
    final_spread_text,
    reached_sentence,
    reference_not_learned,
    seeds_text,
    speedup_text,
    too_few_evaluations,
)

HEADLINE = 0.9  # the share of the reference's best AP in the first sentence
SEVERAL = 6  # models; of more, the main numbers are a table


def models_text(models: Sequence[str]) -> str:
    """The names of a few models, or the number of many."""
    return ", ".join(models) if len(models) <= SEVERAL else f"{len(models)} models"


def headline(page: Page, results: Convergence, models: Sequence[str]) -> None:
    """Add the first sentence, or the reason why there is no ratio, and the main numbers."""
    others = [t for t in results.targets if t.share == HEADLINE and t.model != results.reference]
    reason = too_few_evaluations(results, HEADLINE) if results.reference_learned else reference_not_learned(results)
    if reason:
        page.text(reason)
        others = []
    if len(others) == 1:
        page.text(reached_sentence(others[0], results))
    ends = [final for model in models if (final := _longest(results, model)) is not None]
    if len(models) > SEVERAL:
        _table(page, results, others, ends)
    else:
        _tiles(page, results, others, ends)


def _tiles(page: Page, results: Convergence, others: Sequence[Target], ends: Sequence[Final]) -> None:
    tiles: list[tuple[str, Cell, str]] = []
    for target in others:
        times, words = speedup_text(target.ratio_epochs.median)
        level = f"{percent(HEADLINE)} of its best AP"
        tiles.append((target.model, times, f"{words} {results.reference} to {level}{seeds_text(target)}"))
    page.numbers(tiles)
    page.numbers(
        [(f"{f.model}: AP", f.ap.mean, f"after {counted(f.epochs, 'epoch')}; {final_spread_text(f)}") for f in ends]
    )


def _table(page: Page, results: Convergence, others: Sequence[Target], ends: Sequence[Final]) -> None:
    """AP, and gain and cost beside each other; the epochs only where the reference sets a level."""
    sooner = {target.model: target.ratio_epochs.median for target in others}
    reference = results.reference
    ratio = f" ×: how many times fewer epochs to {percent(HEADLINE)} of {reference}'s best AP; below 1, more."
    columns: list[str | Column] = ["model", Column("AP", bar=True), "gain", "time per epoch"]
    page.table(
        [*columns, Column(f"× to {percent(HEADLINE)}", optional=True)] if sooner else columns,
        [
            [
                f.model, f.ap.mean, None if f.difference is None else f"{f.difference.mean:+.3f}",
                _times(f.relative_time.median if f.relative_time else None),
                *([_times(sooner.get(f.model))] if sooner else []),
            ]
            for f in ends
        ],
        f"After {counted(results.longest, 'epoch')}, relative to {reference} with the same seeds. Gain: the mean of AP "
        f"minus {reference}'s. Time per epoch: the median of the multiples of {reference}'s, evaluations included."
        + (ratio if sooner else ""),
    )  # fmt: skip


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"


def _longest(results: Convergence, model: str) -> Final | None:
    own = (f for f in results.finals if (f.model, f.epochs) == (model, results.longest))
    return next(own, None)
