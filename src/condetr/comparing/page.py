"""The page of a comparison: how many times sooner first, then the curves and what stands behind them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..datasets.dataset import DataSet
from ..reports.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, chart
from ..reports.page import Cell, Page
from ..training.plan import counted, images
from .curve import WINDOW, Curve
from .spread import FEWEST
from .statistics import Comparison, Final
from .study import Asked, Fitted
from .variants import VARIANTS, setting_table
from .words import (
    between,
    difference_words,
    how_many_times,
    interval_words,
    not_begun,
    plain,
    range_words,
    seed_range,
    sentence,
    spread_words,
    still_learning,
    times,
    too_few,
)

COLORS = (ORANGE, BLUE, GREEN, RED, PURPLE, GREY)
MARKS = "osD^vP*X"
_ONE_LINE = (
    "<style>td { white-space: nowrap } td:not(.number) { min-width: 0 } "
    "td:nth-child(2) { white-space: normal; min-width: 7rem; overflow-wrap: break-word }</style>"
)
HEADLINE = 0.9  # the share of the reference's best AP that the first sentence is about


def page(
    comparison: Comparison, curves: Sequence[Curve], asked: Asked, fitted: Fitted, data: DataSet,
    parameters: Mapping[str, int], unfinished: Sequence[str], machine: tuple[str, int],
) -> Page:  # fmt: skip
    models = [model for model in asked.models if any(curve.model == model for curve in curves)]
    sizes = images(data)
    seeds = max(sum(c.model == m and c.epochs == comparison.longest for c in curves) for m in models)
    page = Page(
        f"How soon does it learn? {', '.join(models)}",
        f"{data.name}: {sizes['train']:,} images to learn from, {sizes['valid']:,} to measure on · "
        f"schedules of {', '.join(map(str, fitted.epochs))} epochs · {counted(seeds, 'seed')}",
    )
    page.raw(_ONE_LINE)
    _headline(page, comparison, models)
    if unfinished:
        page.text(f"Not done, and not in any number here: {', '.join(unfinished)}. The same command goes on with them.")
    _curves(page, comparison, curves, models)
    _targets(page, comparison, models)
    _finals(page, comparison)
    _schedules(page, comparison, curves, models)
    _models(page, asked, models, parameters)
    _method(page, comparison, machine, seeds)
    return page


def _headline(page: Page, comparison: Comparison, models: Sequence[str]) -> None:
    rivals = [t for t in comparison.targets if t.share == HEADLINE and t.model != comparison.reference]
    if why := too_few(comparison, HEADLINE) if comparison.begun else not_begun(comparison):
        page.text(why)
        rivals = []
    if len(rivals) == 1:
        page.text(sentence(rivals[0], comparison))
    tiles: list[tuple[str, Cell, str]] = []
    for target in rivals:
        many, words = how_many_times(target.ratio_epochs.median)
        level = f"{HEADLINE:.0%} of its best AP"
        tiles.append((target.model, many, f"{words} {comparison.reference} to {level}{seed_range(target)}"))
    page.numbers(tiles)
    finals = [final for model in models if (final := _final(comparison, model)) is not None]
    page.numbers([(f"{f.model}: AP", f.ap.mean, f"after {f.epochs} epochs; {spread_words(f)}") for f in finals])


# --- curves ---------------------------------------------------------------------------------------------------------


def _curves(page: Page, comparison: Comparison, curves: Sequence[Curve], models: Sequence[str]) -> None:
    page.heading("AP while learning")
    longest = [curve for curve in curves if curve.epochs == comparison.longest]
    axes = (
        ("epochs", lambda p: p.epoch, "ap", "AP"),
        ("images seen, thousands", lambda p: p.images / 1000, "ap", "AP"),
        ("minutes of training", lambda p: p.seconds / 60, "ap", "AP"),
        ("epochs", lambda p: p.epoch, "ap50", "AP50"),
    )
    for pair in (axes[:2], axes[2:]):
        figure, plots = chart(2, (10.5, 3.9))
        for plot, (label, place, field, name) in zip(plots, pair):
            for number, model in enumerate(models):
                _line(plot, [c for c in longest if c.model == model], place, field, model, number)
            plot.set(xlabel=label, ylabel=name, xlim=(0, None), ylim=(0, None))
        plots[0].legend(fontsize=8)
        page.figure(figure)
    page.text(
        f"The longest schedule, {comparison.longest} epochs. Line: median of the seeds. Shade: from the lowest to the "
        "highest. By minutes seeds were not measured at the same moments: each is interpolated, as far as all of them "
        "go. The minutes include evaluations."
    )


def _line(plot: Axes, curves: Sequence[Curve], place: object, field: str, model: str, number: int) -> None:
    if not curves:
        return
    color = COLORS[number % len(COLORS)]
    assert callable(place)
    xs = [[place(point) for point in curve.points] for curve in curves]
    ys = [[getattr(point, field) for point in curve.points] for curve in curves]
    style = "-" if number < len(COLORS) else "--"
    at = sorted({x for own in xs for x in own if x <= min(map(max, xs))})
    seeds = np.array([np.interp(at, [0.0, *x], [0.0, *y]) for x, y in zip(xs, ys)])
    if len(curves) > 1:
        plot.fill_between(at, seeds.min(0), seeds.max(0), color=color, alpha=0.15, lw=0)
    plot.plot(at, np.median(seeds, 0), color=color, linestyle=style, linewidth=2, label=model)


# --- tables ---------------------------------------------------------------------------------------------------------


def _targets(page: Page, comparison: Comparison, models: Sequence[str]) -> None:
    page.heading(f"When each reached {comparison.reference}'s level")
    rows = [
        [
            model, f"{t.share:.0%}", t.ap.median, range_words(t.epochs, 0),
            t.images.median and int(t.images.median), t.seconds.median and int(t.seconds.median),
            f"{t.epochs.reached} of {t.epochs.seeds}", times(t.ratio_epochs), times(t.ratio_seconds),
        ]
        for model in models
        for t in comparison.targets
        if t.model == model
    ]  # fmt: skip
    page.table(
        ["model", "share", "AP to reach", "epochs", "images", "seconds", "seeds", "× in epochs", "× in seconds"],
        rows,
        f"Median over the seeds, range in brackets. Reached: the running median of {WINDOW} evaluations is at least "
        f"the share of the best such median of {comparison.reference} in the same seed. ×: {comparison.reference}'s "
        "number over the model's, taken seed by seed; above 1 is sooner. A seed that never reaches the level counts "
        "as later than all others; – means that half of them or more did not. Seeds in which the reference learned "
        "nothing set no level, and are left out."
        + still_learning(comparison)
        + (
            "" if comparison.begun else f" As {comparison.reference} has not begun to learn, these levels mean nothing."
        ),
    )


def _finals(page: Page, comparison: Comparison) -> None:
    page.heading("After complete schedules")
    page.table(
        ["model", "epochs", "AP", "95 % over seeds", "AP50", "mean AP on the way", "95 % over images"],
        [
            [
                f.model, f.epochs, f.ap.mean, interval_words(f.ap), f.ap50.mean, f.mean.mean,
                "–" if f.images is None else between(*f.images),
            ]
            for f in comparison.finals
        ],
        "Each row is a training of its own, with its own drop of the rate, measured after its last epoch. Intervals "
        "over seeds are Student's. The mean AP on the way is over the epochs of the schedule: early learning counts. "
        "With one seed the last column has the bootstrap's interval over the images, which says nothing about "
        "another training.",
    )  # fmt: skip
    reference = comparison.reference
    page.table(
        ["model", "epochs", f"AP minus {reference}", "p", "verdict", "mean AP minus it", "p"],
        [
            [f.model, f.epochs, *difference_words(f.difference), *difference_words(f.mean_difference)[:2]]
            for f in comparison.finals
            if f.difference is not None
        ],
        "Paired by seed, 95 % intervals in brackets; p is that of Student's paired test, after Holm for all rows of as "
        f"many epochs. Below {FEWEST} seeds nothing is called significant, and p is left out.",
    )


def _schedules(page: Page, comparison: Comparison, curves: Sequence[Curve], models: Sequence[str]) -> None:
    figure, plots = chart(1, (8.5, 3.4))
    plot, schedules = plots[0], sorted({curve.epochs for curve in curves})
    for number, model in enumerate(models):
        finals = [f for f in comparison.finals if f.model == model]
        color = COLORS[number % len(COLORS)]
        shift = (number - (len(models) - 1) / 2) * 0.4 / len(models)
        at = [schedules.index(final.epochs) + shift for final in finals]
        plot.plot(at, [f.ap.mean for f in finals], MARKS[number % len(MARKS)], color=color, markersize=8, label=model)
        for x, final in zip(at, finals):
            plot.plot([x] * len(final.values), final.values, "_", color=color, markersize=11, alpha=0.8)
    plot.set_xticks(range(len(schedules)), [str(epochs) for epochs in schedules])
    plot.yaxis.set_major_locator(MaxNLocator(6))
    plot.set(xlabel="epochs of the schedule", ylabel="final AP", ylim=(0, None), xlim=(-0.6, len(schedules) - 0.4))
    plot.legend(fontsize=8, ncols=2)
    page.figure(figure, "The mean (mark) and each seed (line).")
    if len(schedules) > 1:
        page.table(
            ["model", f"{comparison.reference}'s AP after its longest", "shortest schedule with as much", "×"],
            [[s.model, s.target, s.epochs, s.ratio] for s in comparison.shortest],
            "The schedule-matched ratio: complete schedules only, each with its own drop of the rate.",
        )


def _models(page: Page, asked: Asked, models: Sequence[str], parameters: Mapping[str, int]) -> None:
    page.heading("What was compared")
    meanings = [VARIANTS[m].meaning if m in VARIANTS else f"the recipe {m}" for m in models]
    page.table(["model", "what it is", "parameters"], [[m, w, parameters.get(m)] for m, w in zip(models, meanings)])
    differing = setting_table({m: asked.models[m] for m in models}, lambda path: path in ("recipe", "train.epochs"))
    rows = [[path, *("–" if values[m] is None else plain(values[m]) for m in models)] for path, values in differing]
    page.table(
        ["setting", *models],
        rows,
        "Every setting in which they differ. All others are the same; the whole configs are in comparison.json, under "
        "asked.models.",
    )
    unlike = [path for path, _ in differing if path.startswith(("data.", "model.backbone")) or path in _SHARED]
    if unlike:
        page.text(
            f"To be aware of: {', '.join(unlike)} differ, so these models did not see the same batches or did not "
            "start from the same backbone. What is measured is then the settings together, not the model alone."
        )


def _method(page: Page, comparison: Comparison, machine: tuple[str, int], seeds: int) -> None:
    page.heading("How it was measured")
    device, jobs = machine
    together = f", {jobs} trainings at a time, which slows each" if jobs > 1 else ""
    page.text(
        "A seed decides the order of the images, their augmentation and the fresh weights of the backbone; for one "
        "seed they are the same in all models. AP is COCO's, on the images of 'valid', which no model learns from; "
        "it is the validation AP of single evaluations and no choice of a best epoch enters the final numbers. "
        f"Measured on {device}{together}; times are the wall clock's, and other work on the machine is in them."
    )
    if seeds < FEWEST:
        page.text(
            f"This is {counted(seeds, 'seed')}. Runs of one model from different seeds differ, often by more than "
            f"models do: take the order of models that are close as chance. {FEWEST} seeds or more can say otherwise."
        )
    page.text("All measurements, and every number of this page, are in comparison.json.")


_SHARED = ("train.batch", "train.seed", "train.init")


def _final(comparison: Comparison, model: str) -> Final | None:
    own = (f for f in comparison.finals if (f.model, f.epochs) == (model, comparison.longest))
    return next(own, None)
