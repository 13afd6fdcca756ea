"""The numbers that a claim about convergence needs, from the curves of the runs alone.

Runs of one `seed` in different models are pairs: they saw the same images in the same order, augmented alike, and
started from the same backbone. Ratios and differences are therefore taken within a seed first and then summed up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median, median_low

from .curve import Curve
from .spread import Difference, Interval, Spread, differences, interval, spread

SHARES = (0.5, 0.8, 0.9, 1.0)  # of the best AP of the reference model
BEGUN = 0.1  # of the best AP of all models: a reference that stays below it sets no level worth reaching


@dataclass(frozen=True, slots=True)
class Target:
    """When a model reached a share of the reference's best AP, and how many times sooner than the reference did.

    A ratio is the reference's number over the model's, in the same seed: 3 is three times sooner. Seeds in which the
    reference learned nothing set no level, and are left out.
    """

    model: str
    share: float
    ap: Spread
    epochs: Spread
    images: Spread
    seconds: Spread
    ratio_epochs: Spread
    ratio_seconds: Spread


@dataclass(frozen=True, slots=True)
class Final:
    """A model at the end of a complete schedule: AP, AP50 and mean AP over the epochs, and AP against the reference.

    `images` is the bootstrap's interval, where one seed has no other; `difference` is None for the reference.
    """

    model: str
    epochs: int
    values: tuple[float, ...]
    ap: Interval
    ap50: Interval
    mean: Interval
    images: tuple[float, float] | None
    difference: Difference | None
    mean_difference: Difference | None


@dataclass(frozen=True, slots=True)
class Shortest:
    """The shortest complete schedule whose final AP is at least the reference's after its longest one.

    None where there is no such schedule, or the reference has learned nothing.
    """

    model: str
    target: float
    epochs: int | None
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of it. `targets` are read on the longest schedule that all models have.

    `begun`: the reference's best AP there is no trifle beside the best model's (medians of the seeds). Where it is one,
    the ratios only tell when other models passed a level at which nothing is learned.
    """

    reference: str
    longest: int
    begun: bool
    targets: tuple[Target, ...]
    finals: tuple[Final, ...]
    shortest: tuple[Shortest, ...]


def compare(curves: Iterable[Curve], reference: str) -> Comparison:
    """Every number of the report. `curves` are finished runs; models without any are left out.

    A comparison takes the seeds that both models have finished. The reference must have a run.
    """
    table = {(curve.model, curve.epochs, curve.seed): curve for curve in curves}
    models = list(dict.fromkeys(model for model, _, _ in table))
    assert reference in models
    schedules = sorted({epochs for _, epochs, _ in table})
    shared = [e for e in schedules if all(any((m, e) == key[:2] for key in table) for m in models)]
    longest = shared[-1] if shared else max(e for m, e, _ in table if m == reference)
    targets = [_target(table, model, reference, longest, share) for model in models for share in SHARES]
    finals = [final for epochs in schedules for final in _finals(table, models, reference, epochs)]
    bests = {
        m: median(table[m, longest, s].best for s in seeds) for m in models if (seeds := _seeds(table, m, longest))
    }
    begun = bests[reference] >= BEGUN * max(bests.values()) and bests[reference] > 0
    return Comparison(
        reference, longest, begun, tuple(one for one in targets if one), tuple(finals),
        tuple(_shortest(finals, reference)),
    )  # fmt: skip


def _seeds(table: dict[tuple[str, int, int], Curve], model: str, epochs: int) -> list[int]:
    return sorted(seed for m, e, seed in table if (m, e) == (model, epochs))


def _target(
    table: dict[tuple[str, int, int], Curve], model: str, reference: str, epochs: int, share: float
) -> Target | None:
    theirs = set(_seeds(table, reference, epochs))
    seeds = [seed for seed in _seeds(table, model, epochs) if seed in theirs]
    if not seeds:
        return None
    seeds = [seed for seed in seeds if table[reference, epochs, seed].best > 0] or seeds
    aims = [share * table[reference, epochs, seed].best for seed in seeds]
    own = [table[model, epochs, seed].reached(aim) if aim > 0 else None for seed, aim in zip(seeds, aims)]
    slow = [table[reference, epochs, seed].reached(aim) if aim > 0 else None for seed, aim in zip(seeds, aims)]
    both = list(zip(own, slow))
    return Target(
        model, share, spread(aims),
        spread([float(point.epoch) if point else None for point in own]),
        spread([float(point.images) if point else None for point in own]),
        spread([point.seconds if point else None for point in own]),
        _ratios([(float(b.epoch), float(a.epoch)) if a and b else None for a, b in both]),
        _ratios([(b.seconds, a.seconds) if a and b else None for a, b in both]),
    )  # fmt: skip


def _ratios(pairs: Sequence[tuple[float, float] | None]) -> Spread:
    """The reference's over the model's. Never reaching is infinitely late, so the smallest ratio there is: 0.

    It is no number to take means with: where it is one of the two in the middle, there is no median.
    """
    ratios = [theirs / own if own else 1.0 for theirs, own in (pair or (0.0, 1.0) for pair in pairs)]
    middle = median(ratios) if median_low(ratios) > 0 else None
    reached = [ratio for ratio in ratios if ratio > 0]
    low = min(ratios) or None
    return Spread(middle, low, max(reached, default=None), len(reached), len(ratios))


def _finals(
    table: dict[tuple[str, int, int], Curve], models: Sequence[str], reference: str, epochs: int
) -> list[Final]:
    runs = {m: {seed: table[m, epochs, seed] for seed in _seeds(table, m, epochs)} for m in models}
    runs = {model: curves for model, curves in runs.items() if curves}
    theirs = runs.get(reference, {})
    rivals = [model for model in runs if model != reference and set(runs[model]) & set(theirs)]

    def paired(model: str) -> list[tuple[Curve, Curve]]:
        return [(curve, theirs[seed]) for seed, curve in runs[model].items() if seed in theirs]

    ends = [[(a.points[-1].ap, b.points[-1].ap) for a, b in paired(model)] for model in rivals]
    means = [[(a.mean, b.mean) for a, b in paired(model)] for model in rivals]
    by_end = dict(zip(rivals, differences(ends)))
    by_mean = dict(zip(rivals, differences(means)))
    return [
        Final(
            model, epochs, tuple(curve.points[-1].ap for curve in curves.values()),
            interval([curve.points[-1].ap for curve in curves.values()]),
            interval([curve.points[-1].ap50 for curve in curves.values()]),
            interval([curve.mean for curve in curves.values()]),
            next(iter(curves.values())).interval if len(curves) == 1 else None,
            by_end.get(model), by_mean.get(model),
        )
        for model, curves in runs.items()
    ]  # fmt: skip


def _shortest(finals: Sequence[Final], reference: str) -> list[Shortest]:
    own = [final for final in finals if final.model == reference]
    last = max(own, key=lambda final: final.epochs)
    found = []
    for model in dict.fromkeys(final.model for final in finals):
        enough = [f.epochs for f in finals if f.model == model and f.ap.mean >= last.ap.mean > 0]
        epochs = min(enough, default=None)
        found.append(Shortest(model, last.ap.mean, epochs, last.epochs / epochs if epochs else None))
    return found
