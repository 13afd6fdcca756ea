"""The figures of a comparison's page."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..reports.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, chart
from .convergence import Final
from .learning_curve import LearningCurve, Point

SIZE = (4.8, 3.7)  # inches: two next to each other on a screen, one below the other on a phone
COLORS = (ORANGE, BLUE, GREEN, RED, PURPLE, GREY)
STYLES = ("-", "--", ":")  # of the first models, of those who use the colors again, and once more
MARKERS = "osD^vP*X"
LEGEND_ROW = 0.16  # inches
TICKS = 5  # intervals: numbers such as 0.0025 have room
LEAST_TOP = 0.01  # AP: the least upper end of an axis

_AXES: tuple[tuple[str, Callable[[Point], float], str, Callable[[Point], float]], ...] = (
    ("epochs", lambda p: p.epoch, "AP", lambda p: p.ap),
    ("thousands of images", lambda p: p.images / 1000, "AP", lambda p: p.ap),
    ("minutes of training", lambda p: p.seconds / 60, "AP", lambda p: p.ap),
    ("epochs", lambda p: p.epoch, "AP50", lambda p: p.ap50),
)


def learning_figures(curves: Sequence[LearningCurve], models: Sequence[str]) -> list[Figure]:
    """AP over epochs, images and minutes, and AP50 over epochs: a figure each, which stack on a narrow screen."""
    figures = []
    for x_label, x, y_label, y in _AXES:
        figure, (plot,) = _chart(models)
        for number, model in enumerate(models):
            _plot_model(plot, [curve for curve in curves if curve.model == model], x, y, number)
        plot.set(xlabel=x_label, ylabel=y_label, xlim=(0, None), ylim=(0, _top(plot)))
        whole = x_label == "epochs"
        plot.xaxis.set_major_locator(MaxNLocator("auto" if whole else TICKS, integer=whole, steps=[1, 2, 5, 10]))
        _legend(figure, plot, models)
        figures.append(figure)
    return figures


def _plot_model(
    plot: Axes, curves: Sequence[LearningCurve], x: Callable[[Point], float], y: Callable[[Point], float], number: int
) -> None:
    """The median of the seeds as a line and their range as a shaded area; marks where there is a single point."""
    if not curves:
        return
    xs = [[x(point) for point in curve.points] for curve in curves]
    ys = [[y(point) for point in curve.points] for curve in curves]
    at = sorted({value for own in xs for value in own if value <= min(map(max, xs))})
    seeds = np.array([np.interp(at, [0.0, *x], [0.0, *y]) for x, y in zip(xs, ys)])
    color, style = COLORS[number % len(COLORS)], STYLES[number // len(COLORS) % len(STYLES)]
    if len(curves) > 1 and len(at) == 1:
        plot.vlines(at, seeds.min(0), seeds.max(0), color=color, alpha=0.4)
    elif len(curves) > 1:
        plot.fill_between(at, seeds.min(0), seeds.max(0), color=color, alpha=0.15, lw=0)
    marker = MARKERS[number % len(MARKERS)] if len(at) == 1 else ""
    median = np.median(seeds, 0)
    plot.plot(at, median, color=color, linestyle=style, marker=marker, linewidth=2, label=curves[0].model)


def schedule_figure(finals: Sequence[Final], models: Sequence[str], schedules: Sequence[int]) -> Figure:
    """The final AP of each model after each complete schedule."""
    figure, (plot,) = _chart(models)
    for number, model in enumerate(models):
        own = [final for final in finals if final.model == model]
        color = COLORS[number % len(COLORS)]
        shift = (number - (len(models) - 1) / 2) * 0.4 / len(models)
        at = [schedules.index(final.epochs) + shift for final in own]
        marker = MARKERS[number % len(MARKERS)]
        means = [final.ap.mean for final in own]
        plot.plot(at, means, marker, color=color, markersize=8, label=model, clip_on=False)  # whole at 0, too
        for x, final in zip(at, own):
            plot.plot([x] * len(final.values), final.values, "_", color=color, markersize=11, alpha=0.8)
    plot.set_xticks(range(len(schedules)), [str(epochs) for epochs in schedules])
    plot.yaxis.set_major_locator(MaxNLocator(6))
    plot.set(
        xlabel="epochs of the schedule", ylabel="final AP", ylim=(0, _top(plot)), xlim=(-0.6, len(schedules) - 0.4)
    )
    _legend_below(figure, plot)  # in the plot, its marks would look like results
    return figure


def _top(plot: Axes) -> float:
    """The upper end of an axis of AP: noise near zero is not magnified."""
    return max(LEAST_TOP, plot.get_ylim()[1])


def _chart(models: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """With space for a legend below the plot where there are many models."""
    width, height = SIZE
    return chart(1, (width, height + (LEGEND_ROW * _legend_rows(models) if len(models) > len(COLORS) else 0.0)))


def _legend(figure: Figure, plot: Axes, models: Sequence[str]) -> None:
    """In the plot; for many models below it, where it covers no line."""
    if len(models) <= len(COLORS):
        plot.legend(fontsize=8)
    else:
        _legend_below(figure, plot)


def _legend_below(figure: Figure, plot: Axes) -> None:
    handles, labels = plot.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", fontsize=8, ncols=2, frameon=False)


def _legend_rows(models: Sequence[str]) -> int:
    return -(-len(models) // 2)
