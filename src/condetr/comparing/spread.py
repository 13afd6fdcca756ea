"""Values of several seeds in few words: their range, their mean's interval, and whether two models differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from scipy.stats import t as student

LEVEL = 0.95
FEWEST = 3  # seeds below which no difference is called significant


@dataclass(frozen=True, slots=True)
class Spread:
    """Over the seeds: the median, the range, and how many of `seeds` have a value at all.

    A seed without one (a target never reached) counts as later than any that has one; None is such a 'never'.
    """

    median: float | None
    low: float | None
    high: float | None
    reached: int
    seeds: int


def spread(values: Sequence[float | None]) -> Spread:
    ordered = sorted(math.inf if value is None else value for value in values)
    middle = median(ordered) if ordered else math.inf
    numbers = [value if math.isfinite(value) else None for value in (middle, *ordered[:1], *ordered[-1:])]
    low, high = numbers[1:] if ordered else (None, None)
    return Spread(numbers[0], low, high, sum(map(math.isfinite, ordered)), len(ordered))


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with Student's 95 % interval over the seeds; without one when there is a single seed."""

    mean: float
    low: float | None
    high: float | None
    seeds: int


def interval(values: Sequence[float]) -> Interval:
    count, mean = len(values), fmean(values)
    if count < 2:
        return Interval(mean, None, None, count)
    half = float(student.ppf((1 + LEVEL) / 2, count - 1)) * _deviation(values) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, count)


@dataclass(frozen=True, slots=True)
class Difference:
    """A model minus the reference, paired by seed: mean, interval, p of Student's paired test, and Holm's p over all
    comparisons of the same kind. `verdict` is in words."""

    mean: float
    low: float | None
    high: float | None
    p: float | None
    holm: float | None
    seeds: int
    verdict: str


def differences(pairs: Sequence[Sequence[tuple[float, float]]]) -> list[Difference]:
    """One comparison for each list of (model, reference) values; they are corrected for being several (Holm 1979)."""
    means = [interval([own - theirs for own, theirs in one]) for one in pairs]
    ps = [_paired_p([own - theirs for own, theirs in one]) for one in pairs]
    corrected = _holm(ps)
    return [
        Difference(m.mean, m.low, m.high, p, holm, m.seeds, _verdict(m, holm))
        for m, p, holm in zip(means, ps, corrected)
    ]


def _paired_p(values: Sequence[float]) -> float | None:
    count = len(values)
    if count < 2:
        return None
    error = _deviation(values) / math.sqrt(count)
    if error == 0:
        return 0.0 if fmean(values) else 1.0
    return float(2 * student.sf(abs(fmean(values)) / error, count - 1))


def _holm(ps: Sequence[float | None]) -> list[float | None]:
    known = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    above = 0.0
    for rank, (p, i) in enumerate(known):
        above = max(above, min(1.0, (len(known) - rank) * p))
        corrected[i] = above
    return corrected


def _verdict(difference: Interval, p: float | None) -> str:
    if difference.seeds < FEWEST or p is None:
        return f"too few seeds to say ({difference.seeds})"
    if p >= 1 - LEVEL:
        return "not significant"
    return "significantly better" if difference.mean > 0 else "significantly worse"


def _deviation(values: Sequence[float]) -> float:
    mean = fmean(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
