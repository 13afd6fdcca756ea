"""Sentences and short texts with the numbers of a comparison, for its page and the terminal."""

from collections.abc import Sequence

from ..plural import counted, percent
from .convergence import LEAST_LEARNED, LEAST_PRINTED, Convergence, Final, Target
from .learning_curve import WINDOW
from .statistics import FEWEST_SEEDS, Difference, Interval, Spread


def reference_not_learned(results: Convergence) -> str:
    """The reason why there is no ratio to a reference that has learned too little, and the remedy."""
    reference = results.reference
    best = max((t.ap.median or 0.0 for t in results.targets if (t.model, t.share) == (reference, 1.0)), default=0.0)
    if not results.learned:
        return f"No model learned anything within {counted(results.longest, 'epoch')}. Use longer schedules."
    less = f", less than {percent(LEAST_LEARNED)} of the best model's" if best >= LEAST_PRINTED else ""
    return (
        f"{reference} has not started to learn within {counted(results.longest, 'epoch')}: its best AP is "
        f"{best:.3f}{less}. The time at which other models passed this level is meaningless. "
        "Use longer schedules for all models, or another reference."
    )


def schedules_text(epochs: Sequence[int]) -> str:
    """`schedules of 12, 25 epochs`."""
    if len(epochs) == 1:
        return f"schedules of {counted(epochs[0], 'epoch')}"
    return f"schedules of {', '.join(map(str, epochs))} epochs"


def reached_sentence(target: Target, results: Convergence) -> str:
    """After how many epochs a model and the reference reached a level, or which of them did not."""
    reference, longest = results.reference, results.longest
    slow = next(t for t in results.targets if (t.model, t.share) == (reference, target.share))
    level = f"{percent(target.share)} of {reference}'s best AP (AP {range_text(target.ap)})"
    if target.epochs.median is None or slow.epochs.median is None:
        who = target if target.epochs.median is None else slow
        missed = f"{who.epochs.seeds - who.epochs.reached} of {counted(who.epochs.seeds, 'seed')}"
        return (
            f"{who.model} did not reach {level} within {counted(longest, 'epoch')} in {missed}, so there is no ratio."
        )
    return (
        f"{target.model} reached {level} after {counted(round(target.epochs.median), 'epoch')}, {reference} after "
        f"{slow.epochs.median:.0f}. Per seed: {ratio_text(target.ratio_epochs)}."
    )


def too_few_evaluations(results: Convergence, share: float) -> str:
    """The reason why no level counts as reached; empty where the reference reached its own."""
    reference, longest = results.reference, results.longest
    slow = next(t for t in results.targets if (t.model, t.share) == (reference, share))
    if slow.epochs.reached:
        return ""
    return (
        f"Fewer than {WINDOW} evaluations were made in {counted(longest, 'epoch')}, too few for a running median. "
        "Lower train.evaluate_every, or use more epochs."
    )


def still_learning(results: Convergence) -> str:
    """A caution where the reference was best at its last evaluation: its level depends on the schedule."""
    reference = results.reference
    best = next(t for t in results.targets if (t.model, t.share) == (reference, 1.0))
    if best.epochs.median is None or best.epochs.median < results.longest:
        return ""
    return f" {reference} was best at its last evaluation; a longer schedule may give another level."


def speedup_text(ratio: float | None) -> tuple[str, str]:
    """How many times fewer epochs, and the words between this number and the name of the reference."""
    if ratio is None:
        return "–", "no ratio to"
    if 0.95 <= ratio <= 1.05:
        return "1.0 ×", "about as many epochs as"
    return (f"{ratio:.1f} ×", "fewer epochs than") if ratio > 1 else (f"{1 / ratio:.1f} ×", "more epochs than")


def seeds_text(target: Target) -> str:
    """In how many seeds the level was reached, or the ratios of the seeds where it was reached in all."""
    reached, seeds = target.epochs.reached, target.epochs.seeds
    if reached < seeds:
        return f"; reached in {reached} of {counted(seeds, 'seed')}"
    return "" if seeds == 1 else f"; per seed {ratio_text(target.ratio_epochs)}"


def ratio_text(values: Spread) -> str:
    """`2.20 (2.20 … 3.00) times fewer`, the median first; `times more` of the inverse where it is below 1."""
    if values.median is None:
        return "–"
    if values.median >= 1:
        return f"{times_text(values)} times fewer"
    low, high = (None if value is None else 1 / value for value in (values.high, values.low))
    shown = f"{1 / values.median:.2f}"
    if values.seeds > 1:
        shown += f" ({low:.2f} … {'never' if high is None else format(high, '.2f')})"
    return f"{shown} times more"


def final_spread_text(final: Final) -> str:
    """The interval of a final AP over the seeds; with too few of them, their range."""
    if len(final.values) < FEWEST_SEEDS:
        return "one seed" if len(final.values) == 1 else f"seeds {between(min(final.values), max(final.values))}"
    return f"95 % over seeds {interval_text(final.ap)}"


def interval_text(value: Interval) -> str:
    """Student's interval, clipped to the range of an AP."""
    return "one seed" if value.low is None or value.high is None else between(max(0.0, value.low), min(1.0, value.high))


def between(low: float, high: float) -> str:
    """`0.412 – 0.437`."""
    return f"{low:.3f} – {high:.3f}"


def range_text(values: Spread, digits: int = 3) -> str:
    """`12 (10 … 15)`; a dash where most seeds have no value, `never` as the upper end where some have none."""
    if values.median is None:
        return "–"
    shown = f"{values.median:,.{digits}f}"
    if values.seeds == 1:
        return shown
    high = "never" if values.high is None else f"{values.high:,.{digits}f}"
    return f"{shown} ({values.low:,.{digits}f} … {high})"


def times_text(values: Spread) -> str:
    """A ratio as `2.20 (1.90 … 3.00)`; 0 where a seed never reached the level, a dash where most did not."""
    if values.median is None:
        return "–"
    if values.seeds == 1:
        return f"{values.median:.2f}"
    low = "0" if values.low is None else f"{values.low:.2f}"
    return f"{values.median:.2f} ({low} … {values.high:.2f})"


def difference_text(value: Difference | None) -> tuple[str, float | None, str]:
    """The difference with its interval, Holm's p-value where there are enough seeds, and the significance in words."""
    if value is None:
        return ("–", None, "–")
    bounds = "" if value.low is None else f" ({value.low:+.3f} … {value.high:+.3f})"
    return (f"{value.mean:+.3f}{bounds}", value.holm if value.seeds >= FEWEST_SEEDS else None, value.significance)


def setting_text(value: object) -> str:
    """The value of a setting, numbers in their shortest form."""
    return f"{value:g}" if isinstance(value, float) else str(value)
