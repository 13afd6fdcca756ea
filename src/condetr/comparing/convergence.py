"""How much faster a model learns than the reference, from the learning curves of all runs.

Runs of different models with the same `seed` are pairs: they saw the same images in the same order with the same
augmentation, and started from the same backbone. Ratios and differences are therefore taken per seed and then
summarised over the seeds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median, median_low

from .learning_curve import LearningCurve
from .statistics import Difference, Interval, Spread, differences, interval, spread

SHARES = (0.5, 0.8, 0.9, 1.0)  # of the best AP of the reference
LEAST_LEARNED = 0.1  # of the best AP of all models: a reference below it sets no meaningful level
LEAST_PRINTED = 0.0005  # a lower AP is printed as 0.000 and counts as nothing learned

Curves = dict[tuple[str, int, int], LearningCurve]  # by model, epochs and seed


@dataclass(frozen=True, slots=True)
class Target:
    """When a model reached a share of the reference's best AP, and how many times sooner than the reference.

    A ratio is the reference's number divided by the model's, in the same seed: 3 is three times sooner. Seeds in which
    the reference learned nothing are left out, because they set no level.
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
    """A model at the end of a complete schedule: AP, AP50, the mean AP over the epochs, and AP minus the reference's.

    `images` is the bootstrap interval over the images, where there is a single seed; `difference` is None for the
    reference. `relative_time` is the time per epoch, evaluations included, divided by the reference's in the same seed;
    None where no seed has both.
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
    relative_time: Spread | None


@dataclass(frozen=True, slots=True)
class Shortest:
    """The shortest complete schedule whose final AP is at least that of the reference after its longest schedule.

    None where there is no such schedule, or the reference learned nothing.
    """

    model: str
    target: float
    epochs: int | None
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Convergence:
    """All numbers of a comparison. `targets` are those of the longest schedule that all models have.

    `reference_learned`: the best AP of the reference there is at least a tenth of the best model's (medians over the
    seeds). Otherwise its level is too low for the ratios to mean anything. `learned`: any model has an AP of at least
    0.0005 at any evaluation; below, a model has learned nothing.
    """

    reference: str
    longest: int
    learned: bool
    reference_learned: bool
    targets: tuple[Target, ...]
    finals: tuple[Final, ...]
    shortest: tuple[Shortest, ...]


def analyse(curves: Iterable[LearningCurve], reference: str) -> Convergence:
    """The numbers of a comparison from the curves of its finished runs. Models without a run are left out.

    A comparison of two models uses the seeds that both have finished. The reference must have a run.
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
    learned = any(point.ap >= LEAST_PRINTED for curve in table.values() for point in curve.points)
    reference_learned = bests[reference] >= max(LEAST_LEARNED * max(bests.values()), LEAST_PRINTED)
    return Convergence(
        reference, longest, learned, reference_learned, tuple(one for one in targets if one), tuple(finals),
        tuple(_shortest(finals, reference)),
    )  # fmt: skip


def _seeds(table: Curves, model: str, epochs: int) -> list[int]:
    return sorted(seed for m, e, seed in table if (m, e) == (model, epochs))


def _target(table: Curves, model: str, reference: str, epochs: int, share: float) -> Target | None:
    reference_seeds = set(_seeds(table, reference, epochs))
    seeds = [seed for seed in _seeds(table, model, epochs) if seed in reference_seeds]
    if not seeds:
        return None
    seeds = [seed for seed in seeds if table[reference, epochs, seed].best >= LEAST_PRINTED] or seeds
    levels = [share * table[reference, epochs, seed].best for seed in seeds]
    own, other = (
        [table[name, epochs, s].first_reaching(level) if level > 0 else None for s, level in zip(seeds, levels)]
        for name in (model, reference)
    )
    both = list(zip(own, other))
    return Target(
        model, share, spread(levels),
        spread([float(point.epoch) if point else None for point in own]),
        spread([float(point.images) if point else None for point in own]),
        spread([point.seconds if point else None for point in own]),
        _ratios([(float(b.epoch), float(a.epoch)) if a and b else None for a, b in both]),
        _ratios([(b.seconds, a.seconds) if a and b else None for a, b in both]),
    )  # fmt: skip


def _ratios(pairs: Sequence[tuple[float, float] | None]) -> Spread:
    """The reference's number divided by the model's. A model that never reaches the level has the smallest ratio, 0.

    0 is not a ratio to average with: where it is one of the two values in the middle, there is no median.
    """
    ratios = [reference / own if own else 1.0 for reference, own in (pair or (0.0, 1.0) for pair in pairs)]
    middle = median(ratios) if median_low(ratios) > 0 else None
    reached = [ratio for ratio in ratios if ratio > 0]
    low = min(ratios) or None
    return Spread(middle, low, max(reached, default=None), len(reached), len(ratios))


def _finals(table: Curves, models: Sequence[str], reference: str, epochs: int) -> list[Final]:
    runs = {m: {seed: table[m, epochs, seed] for seed in _seeds(table, m, epochs)} for m in models}
    runs = {model: curves for model, curves in runs.items() if curves}
    reference_runs = runs.get(reference, {})
    others = [model for model in runs if model != reference and set(runs[model]) & set(reference_runs)]

    def paired(model: str) -> list[tuple[LearningCurve, LearningCurve]]:
        return [(curve, reference_runs[seed]) for seed, curve in runs[model].items() if seed in reference_runs]

    ends = [[(a.points[-1].ap, b.points[-1].ap) for a, b in paired(model)] for model in others]
    means = [[(a.mean_ap, b.mean_ap) for a, b in paired(model)] for model in others]
    by_end = dict(zip(others, differences(ends)))
    by_mean = dict(zip(others, differences(means)))
    return [
        Final(
            model, epochs, tuple(curve.points[-1].ap for curve in curves.values()),
            interval([curve.points[-1].ap for curve in curves.values()]),
            interval([curve.points[-1].ap50 for curve in curves.values()]),
            interval([curve.mean_ap for curve in curves.values()]),
            next(iter(curves.values())).interval if len(curves) == 1 else None,
            by_end.get(model), by_mean.get(model), _relative_time(paired(model)),
        )
        for model, curves in runs.items()
    ]  # fmt: skip


def _relative_time(pairs: Sequence[tuple[LearningCurve, LearningCurve]]) -> Spread | None:
    """Of the pairs of a model's and the reference's runs."""
    ratios = [own.seconds_per_epoch / other.seconds_per_epoch for own, other in pairs if other.seconds_per_epoch]
    return spread(ratios) if ratios else None


def _shortest(finals: Sequence[Final], reference: str) -> list[Shortest]:
    own = [final for final in finals if final.model == reference]
    last = max(own, key=lambda final: final.epochs)
    found = []
    for model in dict.fromkeys(final.model for final in finals):
        enough = [f.epochs for f in finals if f.model == model and f.ap.mean >= last.ap.mean >= LEAST_PRINTED]
        epochs = min(enough, default=None)
        found.append(Shortest(model, last.ap.mean, epochs, last.epochs / epochs if epochs else None))
    return found
