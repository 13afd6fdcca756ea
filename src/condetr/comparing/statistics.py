"""Statistics over seeds: ranges, Student's intervals, and paired tests with Holm's correction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from scipy.stats import ttest_1samp

LEVEL = 0.95
FEWEST_SEEDS = 3  # with fewer, no difference is called significant


@dataclass(frozen=True, slots=True)
class Spread:
    """Over the seeds: the median, the range, and how many of `seeds` have a value.

    A seed without a value (it never reached a level) counts as later than all others. None means never.
    """

    median: float | None
    low: float | None
    high: float | None
    reached: int
    seeds: int


def spread(values: Sequence[float | None]) -> Spread:
    """The median and range of one value per seed; None where a seed has none."""
    ordered = sorted(math.inf if value is None else value for value in values)
    middle = median(ordered) if ordered else math.inf
    numbers = [value if math.isfinite(value) else None for value in (middle, *ordered[:1], *ordered[-1:])]
    low, high = numbers[1:] if ordered else (None, None)
    return Spread(numbers[0], low, high, sum(map(math.isfinite, ordered)), len(ordered))


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with Student's 95 % interval over the seeds; no interval with a single seed."""

    mean: float
    low: float | None
    high: float | None
    seeds: int


def interval(values: Sequence[float]) -> Interval:
    """The mean and interval of one value per seed, of which there is at least one."""
    seeds, mean = len(values), fmean(values)
    if seeds < 2:
        return Interval(mean, None, None, seeds)
    if _constant(values):
        return Interval(mean, mean, mean, seeds)
    bounds = ttest_1samp(values, 0.0).confidence_interval(LEVEL)
    return Interval(mean, float(bounds.low), float(bounds.high), seeds)


@dataclass(frozen=True, slots=True)
class Difference:
    """A model minus the reference, paired by seed: the mean, its interval, the p-value of Student's paired test, and
    Holm's p-value over all comparisons of the same kind. `significance` states whether it is significant."""

    mean: float
    low: float | None
    high: float | None
    p: float | None
    holm: float | None
    seeds: int
    significance: str


def differences(pairs: Sequence[Sequence[tuple[float, float]]]) -> list[Difference]:
    """One comparison for each list of (model, reference) values, corrected for their number (Holm 1979)."""
    shifts = [[own - reference for own, reference in one] for one in pairs]
    means, ps = [interval(one) for one in shifts], [_p_value(one) for one in shifts]
    return [
        Difference(m.mean, m.low, m.high, p, holm, m.seeds, _significance(m, holm))
        for m, p, holm in zip(means, ps, _holm(ps))
    ]


def _p_value(shifts: Sequence[float]) -> float | None:
    """Of Student's paired test: a test of one sample, the differences, against 0."""
    if len(shifts) < 2:
        return None
    if _constant(shifts):
        return 0.0 if shifts[0] else 1.0
    return float(ttest_1samp(shifts, 0.0).pvalue)


def _constant(values: Sequence[float]) -> bool:
    """Whether the values do not vary, up to rounding: scipy then warns and gives NaN."""
    return math.isclose(min(values), max(values), rel_tol=1e-12, abs_tol=1e-15)


def _holm(ps: Sequence[float | None]) -> list[float | None]:
    known = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[i] = largest
    return corrected


def _significance(difference: Interval, p: float | None) -> str:
    if difference.seeds < FEWEST_SEEDS or p is None:
        return f"too few seeds ({difference.seeds})"
    if p >= 1 - LEVEL:
        return "not significant"
    return "significantly better" if difference.mean > 0 else "significantly worse"
