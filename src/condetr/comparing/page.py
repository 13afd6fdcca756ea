"""The HTML page of a comparison: the headline ratios, then the curves and the tables behind them."""

from collections.abc import Mapping, Sequence

from ..config import Config
from ..plural import counted, percent
from ..reports.page import Page
from ..reports.tables import Cell
from ..training.plan import images
from .convergence import Convergence, Final
from .figures import learning_figures, schedule_figure
from .headline import headline, models_text
from .learning_curve import WINDOW, LearningCurve
from .plan import Plan
from .sentences import (
    between,
    difference_text,
    interval_text,
    range_text,
    reference_not_learned,
    schedules_text,
    setting_text,
    still_learning,
    times_text,
)
from .statistics import FEWEST_SEEDS
from .variants import VARIANTS, differing_settings

_ONE_LINE = (
    "<style>td { white-space: nowrap } td:not(.number) { min-width: 0 } "
    "td:nth-child(2) { white-space: normal; min-width: 7rem; overflow-wrap: break-word }</style>"
)
_SHARED = ("train.batch", "train.seed", "train.init")


def page(
    plan: Plan, results: Convergence, curves: Sequence[LearningCurve], parameters: Mapping[str, int],
    unfinished: Sequence[str],
) -> Page:  # fmt: skip
    """`parameters` is the number of parameters by model, `unfinished` the names of the runs that are not finished."""
    models = [model for model in plan.request.models if any(curve.model == model for curve in curves)]
    sizes = images(plan.data)
    seeds = max(sum(c.model == m and c.epochs == results.longest for c in curves) for m in models)
    amounts = f"{counted(sizes['train'], 'training image')}, {counted(sizes['valid'], 'validation image')}"
    page = Page(
        f"Convergence of {models_text(models)}",
        f"{plan.data.name}: {amounts} · {schedules_text(plan.schedule.epochs)} · {counted(seeds, 'seed')}",
    )
    page.raw(_ONE_LINE)
    measured(page, results, curves, models)
    if unfinished:
        page.text(f"Not finished, and not in any number here: {', '.join(unfinished)}. The same command resumes them.")
    _models(page, plan.request.models, parameters, models)
    _method(page, plan, seeds)
    return page


def measured(page: Page, results: Convergence, curves: Sequence[LearningCurve], models: Sequence[str]) -> None:
    """Everything that was measured, or one sentence where no model has learned anything."""
    if not results.learned:
        page.text(reference_not_learned(results))
        return
    headline(page, results, models)
    learning(page, results, curves, models)
    if results.reference_learned:
        targets(page, results, models)
    finals(page, results)
    _schedules(page, results, curves, models)


def learning(page: Page, results: Convergence, curves: Sequence[LearningCurve], models: Sequence[str]) -> None:
    """The learning curves of the longest schedule."""
    page.heading("AP during training")
    longest = [curve for curve in curves if curve.epochs == results.longest]
    page.figure(learning_figures(longest, models))
    page.text(
        f"The longest schedule, {counted(results.longest, 'epoch')}. Lines are medians of the seeds, shaded areas "
        "their range. In the plot over minutes, each seed is interpolated, up to the last time that all seeds have. "
        "The minutes include evaluations."
    )


def targets(page: Page, results: Convergence, models: Sequence[str]) -> None:
    """When each model reached each share of the reference's best AP."""
    reference = results.reference
    page.heading(f"When each model reached the level of {reference}")
    rows = [
        [
            model, percent(t.share), t.ap.median, range_text(t.epochs, 0),
            t.images.median and int(t.images.median), t.seconds.median and int(t.seconds.median),
            f"{t.epochs.reached} of {t.epochs.seeds}", times_text(t.ratio_epochs), times_text(t.ratio_seconds),
        ]
        for model in models
        for t in results.targets
        if t.model == model
    ]  # fmt: skip
    page.table(
        ["model", "share", "AP to reach", "epochs", "images", "seconds", "seeds", "× in epochs", "× in seconds"],
        rows,
        f"Medians over the seeds, ranges in brackets. A level is reached when the running median of {WINDOW} "
        f"evaluations is at least this share of the best running median of {reference} in the same seed. ×: the number "
        f"of {reference} divided by the model's, per seed; above 1 is faster. A seed that never reaches the level "
        "counts as later than all others; – means that at least half of the seeds never reach it. Seeds in which the "
        "reference learned nothing set no level and are left out." + still_learning(results),
    )


def finals(page: Page, results: Convergence) -> None:
    """AP after each complete schedule, and the differences from the reference with their significance."""
    page.heading("After complete schedules")
    page.table(
        ["model", "epochs", "AP", "95 % over seeds", "AP50", "mean AP over epochs", "95 % over images"],
        [
            [
                f.model, f.epochs, f.ap.mean, interval_text(f.ap), f.ap50.mean, f.mean.mean,
                "–" if f.images is None else between(*f.images),
            ]
            for f in results.finals
        ],
        "Each row is a complete training with its own learning rate drop, evaluated after its last epoch. Intervals "
        "over seeds are Student's. The mean AP over the epochs is larger when a model learns early. With one "
        "seed, the last column has the bootstrap interval over the images, which does not cover the variation between "
        "trainings.",
    )  # fmt: skip
    page.table(
        ["model", "epochs", f"AP minus {results.reference}", "time per epoch", "p", "significance"],
        [[f.model, f.epochs, *_gain_and_cost(f)] for f in results.finals if f.difference is not None],
        f"Paired by seed, 95 % intervals in brackets. The time per epoch is a multiple of {results.reference}'s, the "
        "median and range of the seeds; it includes evaluations. p is the p-value of Student's paired test with Holm's "
        f"correction for all rows with the same number of epochs. With fewer than {FEWEST_SEEDS} seeds no difference "
        "is called significant and p is left out.",
    )
    page.table(
        ["model", "epochs", f"mean AP over epochs, minus {results.reference}", "p"],
        [
            [f.model, f.epochs, *difference_text(f.mean_difference)[:2]]
            for f in results.finals
            if f.difference is not None
        ],
        "The mean of the AP at all evaluations of a training, paired by seed as above.",
    )


def _gain_and_cost(final: Final) -> tuple[Cell, ...]:
    difference, p, significance = difference_text(final.difference)
    return difference, "–" if final.relative_time is None else times_text(final.relative_time), p, significance


def _schedules(page: Page, results: Convergence, curves: Sequence[LearningCurve], models: Sequence[str]) -> None:
    schedules = sorted({curve.epochs for curve in curves})
    page.figure(
        schedule_figure(results.finals, models, schedules),
        "Large marks are means over the seeds, short lines are single seeds.",
    )
    if len(schedules) > 1:
        page.table(
            ["model", "AP to reach", "shortest schedule", "×"],
            [[s.model, s.target, s.epochs, s.ratio] for s in results.shortest],
            f"AP to reach: that of {results.reference} after its longest schedule. Shortest schedule: the epochs of "
            "the model's shortest complete schedule with at least this final AP. ×: the epochs of the longest schedule "
            f"of {results.reference} divided by these.",
        )


def _models(page: Page, configs: Mapping[str, Config], parameters: Mapping[str, int], models: Sequence[str]) -> None:
    page.heading("Models")
    descriptions = [VARIANTS[m].description if m in VARIANTS else f"the recipe {m}" for m in models]
    rows = [[m, text, parameters.get(m)] for m, text in zip(models, descriptions)]
    page.table(["model", "description", "parameters"], rows)
    differing = differing_settings({m: configs[m] for m in models}, lambda path: path in ("recipe", "train.epochs"))
    page.table(
        ["setting", *models],
        [
            [path, *("–" if values[m] is None else setting_text(values[m]) for m in models)]
            for path, values in differing
        ],
        "All settings in which the models differ. The whole configs are in comparison.json, under request.models.",
    )
    unpaired = [path for path, _ in differing if path.startswith(("data.", "model.backbone")) or path in _SHARED]
    if unpaired:
        page.text(
            f"Caution: {', '.join(unpaired)} differ, so these models did not see the same batches or did not start "
            "from the same backbone. The comparison is then one of all these settings, not of the models alone."
        )


def _method(page: Page, plan: Plan, seeds: int) -> None:
    page.heading("Method")
    together = f", {plan.jobs} trainings at a time, which slows each" if plan.jobs > 1 else ""
    page.text(
        "A seed determines the order of the images, their augmentation and the initial weights of the backbone; these "
        "are the same in all models for the same seed. AP is COCO's, on the images of 'valid', which are not trained "
        "on. The final numbers are those after the last epoch; no best epoch is chosen. "
        f"Measured on {plan.device}{together}; times are wall-clock times and include other work on the machine."
    )
    if seeds < FEWEST_SEEDS:
        page.text(
            f"This comparison has {counted(seeds, 'seed')}. Runs of the same model with different seeds often differ "
            f"more than models do. Use {FEWEST_SEEDS} seeds or more to rank models that are close."
        )
    page.text("All measurements, and every number of this page, are in comparison.json.")
