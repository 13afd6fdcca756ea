"""The numbers of a comparison in words, for its page."""

from ..training.plan import counted
from .curve import WINDOW
from .spread import FEWEST, Difference, Interval, Spread
from .statistics import BEGUN, Comparison, Final, Target


def not_begun(comparison: Comparison) -> str:
    """Why there is no ratio to such a reference, and what would give one."""
    reference = comparison.reference
    best = max((t.ap.median or 0.0 for t in comparison.targets if (t.model, t.share) == (reference, 1.0)), default=0.0)
    if not any(final.ap.mean for final in comparison.finals):
        return f"No model has learned anything within {comparison.longest} epochs. Give longer schedules."
    return (
        f"{reference} has not begun to learn within {comparison.longest} epochs (best AP {best:.3f}, less than "
        f"{BEGUN:.0%} of the best model's), so how much sooner others passed its level says nothing. Longer schedules "
        "for all, or another --reference, would."
    )


def sentence(target: Target, comparison: Comparison) -> str:
    reference, longest = comparison.reference, comparison.longest
    slow = next(t for t in comparison.targets if (t.model, t.share) == (reference, target.share))
    aim = f"{target.share:.0%} of {reference}'s best AP (AP {range_words(target.ap)})"
    if target.epochs.median is None or slow.epochs.median is None:
        who = target if target.epochs.median is None else slow
        missed = f"{who.epochs.seeds - who.epochs.reached} of {counted(who.epochs.seeds, 'seed')}"
        return f"{who.model} did not reach {aim} within {longest} epochs in {missed}, so there is no ratio."
    return (
        f"{target.model} reached {aim} after {target.epochs.median:.0f} epochs, {reference} after "
        f"{slow.epochs.median:.0f}. Seed by seed: {ratio_words(target.ratio_epochs)}."
    )


def too_few(comparison: Comparison, share: float) -> str:
    """Why no level can be called reached, or nothing where the reference itself reached its own."""
    reference, longest = comparison.reference, comparison.longest
    slow = next(t for t in comparison.targets if (t.model, t.share) == (reference, share))
    if slow.epochs.reached:
        return ""
    return (
        f"Less than {WINDOW} evaluations were made in {longest} epochs, too few to call any level reached. Lower "
        "train.evaluate_every, or give more epochs."
    )


def still_learning(comparison: Comparison) -> str:
    """A word of caution where the reference was best at its very end: its level is that of the schedule."""
    reference = comparison.reference
    best = next(t for t in comparison.targets if (t.model, t.share) == (reference, 1.0))
    if best.epochs.median is None or best.epochs.median < comparison.longest:
        return ""
    return f" {reference} was best at its last evaluation: with a longer schedule its level may be another."


def how_many_times(ratio: float | None) -> tuple[str, str]:
    """How many times fewer epochs, and the words that follow up to the reference's name."""
    if ratio is None:
        return "–", "no ratio to"
    if 0.95 <= ratio <= 1.05:
        return "1.0 ×", "about as many epochs as"
    return (f"{ratio:.1f} ×", "fewer epochs than") if ratio > 1 else (f"{1 / ratio:.1f} ×", "more epochs than")


def seed_range(target: Target) -> str:
    reached, seeds = target.epochs.reached, target.epochs.seeds
    if reached < seeds:
        return f"; {reached} of {counted(seeds, 'seed')} got there"
    return "" if seeds == 1 else f"; seed by seed {ratio_words(target.ratio_epochs)}"


def ratio_words(values: Spread) -> str:
    """`2.20 (2.20 … 3.00) times fewer`, the median first; turned about where it is below 1."""
    if values.median is None:
        return "–"
    if values.median >= 1:
        return f"{times(values)} times fewer"
    low, high = (None if value is None else 1 / value for value in (values.high, values.low))
    shown = f"{1 / values.median:.2f}"
    if values.seeds > 1:
        shown += f" ({low:.2f} … {'never' if high is None else format(high, '.2f')})"
    return f"{shown} times more"


def spread_words(final: Final) -> str:
    if len(final.values) < FEWEST:
        return "one seed" if len(final.values) == 1 else f"seeds {between(min(final.values), max(final.values))}"
    return f"95 % over seeds {interval_words(final.ap)}"


def interval_words(value: Interval) -> str:
    """Student's interval, as far as an AP can lie there."""
    return "one seed" if value.low is None or value.high is None else between(max(0.0, value.low), min(1.0, value.high))


def between(low: float, high: float) -> str:
    return f"{low:.3f} – {high:.3f}"


def range_words(values: Spread, digits: int = 3) -> str:
    """`12 (10 … 15)`; a dash where most seeds have none, `never` for the end of a range that some have not."""
    if values.median is None:
        return "–"
    shown = f"{values.median:,.{digits}f}"
    if values.seeds == 1:
        return shown
    high = "never" if values.high is None else f"{values.high:,.{digits}f}"
    return f"{shown} ({values.low:,.{digits}f} … {high})"


def times(values: Spread) -> str:
    if values.median is None:
        return "–"
    if values.seeds == 1:
        return f"{values.median:.2f}"
    low = "0" if values.low is None else f"{values.low:.2f}"
    return f"{values.median:.2f} ({low} … {values.high:.2f})"


def difference_words(value: Difference | None) -> tuple[str, float | None, str]:
    if value is None:
        return ("–", None, "–")
    bounds = "" if value.low is None else f" ({value.low:+.3f} … {value.high:+.3f})"
    return (f"{value.mean:+.3f}{bounds}", value.holm if value.seeds >= FEWEST else None, value.verdict)


def plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
