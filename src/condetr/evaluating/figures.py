"""The figures of an evaluation's page."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..metrics import ClassMetrics
from ..metrics.calibration import Calibration
from ..metrics.coco import IOU_THRESHOLDS, RECALLS
from ..reports.charts import BLUE, GREY, ORANGE, PURPLE, RED, chart

SIZE = (4.6, 3.6)  # inches: two side by side on a screen, one below the other on a phone
MAX_CURVES = 8  # classes with a curve each; of more, the mean and the quartiles are drawn
COLORS = (BLUE, ORANGE, "#2a9d6f", RED, PURPLE, "#1f9fb5", "#a8741a", "#c45ab3")


def precision_recall_figures(classes: Sequence[ClassMetrics]) -> list[Figure]:
    """Curves at IoU 0.50 and 0.75 of the classes that have objects."""
    classes = [one for one in classes if one.objects]
    return [_curves(classes, iou) for iou in (0.5, 0.75)]


def _curves(classes: Sequence[ClassMetrics], iou: float) -> Figure:
    figure, (plot,) = chart(1, SIZE)
    at = int(np.flatnonzero(np.isclose(IOU_THRESHOLDS, iou))[0])
    curves = [one.precision[at] for one in classes]
    if len(classes) <= MAX_CURVES:
        for one, curve, color in zip(classes, curves, COLORS):
            plot.plot(RECALLS, curve, color=color, linewidth=1.6, label=short(one.name))
    else:
        low, high = np.quantile(curves, [0.25, 0.75], axis=0)
        half = "middle half of the classes"
        plot.fill_between(RECALLS, low, high, color=BLUE, alpha=0.18, linewidth=0, label=half)
    if len(classes) != 1:
        plot.plot(RECALLS, np.mean(curves, axis=0), color="#000000", linewidth=2.2, label="mean of classes")
    plot.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision")
    plot.set_title(f"IoU {iou:.2f}", fontsize=11, loc="left")
    plot.legend(fontsize=8)  # where it covers least of the curves
    return figure


def calibration_figures(calibration: Calibration) -> list[Figure]:
    """The reliability diagram, and the histogram of the scores."""
    middle = (np.arange(len(calibration.count)) + 0.5) / len(calibration.count)
    (diagram, (plot,)), (counts, (histogram,)) = chart(1, SIZE), chart(1, SIZE)
    filled = calibration.count > 0
    plot.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="calibrated scores")
    plot.plot(
        calibration.score[filled], calibration.precision[filled], "o-", color=BLUE, markersize=4, label="measured"
    )
    plot.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="score", ylabel="fraction correct")
    plot.legend(fontsize=8)
    histogram.bar(middle, calibration.count, width=0.9 / len(middle), color=BLUE)
    histogram.set(xlim=(0, 1), xlabel="score", ylabel="detections")
    if filled.any():
        histogram.set(yscale="log", ylim=(0.7, None))
    return [diagram, counts]


def short(name: str) -> str:
    """A class name of at most 24 characters."""
    return name if len(name) <= 24 else name[:23] + "…"
