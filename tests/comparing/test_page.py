"""The sentences of the page follow from the numbers, also where these are few or extreme."""

import html
import re
from itertools import pairwise

import pytest

from condetr.comparing.convergence import analyse
from condetr.comparing.figures import _plot_model, learning_figures, schedule_figure
from condetr.comparing.headline import models_text
from condetr.comparing.page import measured
from condetr.reports.charts import chart
from condetr.reports.page import Page

from .curves import curve, ramp


def written(curves: list, reference: str) -> str:
    results, models = analyse(curves, reference), list(dict.fromkeys(c.model for c in curves))
    page = Page("a comparison")
    measured(page, results, curves, models)
    return html.unescape(page.html()).replace("\u00a0", " ")


def slow_and_fast(seeds: int, epochs: int = 40) -> list:
    return [curve(m, ramp(s, epochs), seed) for seed in range(seeds) for m, s in (("slow", 0.0125), ("fast", 0.05))]


def test_a_faster_model_takes_fewer_epochs_and_a_slower_one_more():
    sooner, later = written(slow_and_fast(3), "slow"), written(slow_and_fast(3), "fast")
    assert "3.7 ×" in sooner
    assert "fewer epochs than slow to 90 % of its best AP" in sooner
    assert "more epochs than fast" in written(
        [*slow_and_fast(3), *(curve("third", ramp(0.02, 40), s) for s in range(3))], "fast"
    )
    assert "fewer epochs than" not in later
    third = written([*slow_and_fast(3), *(curve("third", ramp(0.02, 40), s) for s in range(3))], "fast")
    assert "per seed 2.40 (2.40 … 2.40) times more" in third
    assert "times fewer" not in third


def test_the_seeds_that_missed_a_level_are_counted():
    curves = slow_and_fast(2)
    curves[-1] = curve("fast", [0.0] * 40, 1)
    page = written(curves, "slow")
    assert "fast did not reach 90 % of slow's best AP" in page
    assert "within 40 epochs in 1 of 2 seeds, so there is no ratio" in page
    assert "reached in 1 of 2 seeds" in page


def test_too_few_evaluations_are_reported():
    page = written([curve(m, [0.1, 0.3], s) for s in range(2) for m in ("slow", "fast")], "slow")
    assert "Fewer than 3 evaluations were made in 2 epochs" in page
    assert "did not reach" not in page
    assert "reached in" not in page


def test_two_seeds_have_a_range_and_neither_an_interval_nor_a_p():
    page = written([curve(m, [0.1, 0.2, 0.3 + 0.3 * s], s) for s in range(2) for m in ("slow", "fast")], "slow")
    assert "seeds 0.300 – 0.600" in page
    assert "too few seeds (2)" in page
    assert "0.000 – 1.000" in page  # Student's interval of two seeds, clipped to [0, 1]


def test_a_model_without_a_run_of_the_schedule_has_no_line():
    page = written([curve("a", ramp(0.1, 10)), curve("b", ramp(0.1, 20))], "a")
    assert "AP during training" in page


def test_the_time_per_epoch_is_beside_the_gain():
    curves = [curve(m, [0.1, 0.2, 0.3], s, seconds=t) for s in range(2) for m, t in (("slow", 2.0), ("fast", 2.5 + s))]
    page = written(curves, "slow")
    assert page.index("AP minus slow") < page.index("time per epoch") < page.index("significance")
    assert "1.50 (1.25 … 1.75)" in page
    assert "a multiple of slow's" in page


def test_axes_have_whole_epochs_and_do_not_magnify_noise():
    models = ["slow", "fast"]
    curves = [curve(m, [0.0, 0.0004, 0.0008], s) for s in range(2) for m in models]
    plot = learning_figures(curves, models)[0].axes[0]
    assert plot.get_ylim() == (0, 0.01)
    assert all(tick == round(tick) for tick in plot.get_xticks())
    below = schedule_figure(analyse(curves, "slow").finals, models, [3])
    assert (len(below.legends), below.axes[0].get_legend()) == (1, None)
    assert below.axes[0].get_ylim() == (0, 0.01)


@pytest.mark.parametrize("seconds", [0.5, 0.62, 30.0, 3000.0])
def test_numbers_of_an_axis_have_room(seconds):
    for figure in learning_figures([curve("slow", [0.1, 0.2], seconds=seconds)], ["slow"]):
        figure.canvas.draw()
        labels = figure.axes[0].get_xticklabels()
        boxes = sorted(label.get_window_extent().extents[[0, 2]].tolist() for label in labels)
        assert all(right[0] - left[1] > 0.2 * figure.dpi for left, right in pairwise(boxes))


def test_many_models_have_a_table_instead_of_tiles_and_legends_below_the_plots():
    models = [f"m{i}" for i in range(16)]
    curves = [curve(m, ramp(0.02 * (i + 1), 6), s, seconds=2.0 + i) for s in range(2) for i, m in enumerate(models)]
    page = written(curves, "m0")
    assert 'class="tiles"><div' not in page
    first = page[page.index("<table") : page.index("<h2")]
    row = re.sub("<[^>]*>", " ", first[first.index("m1<") : first.index("m2<")]).split()
    assert row == ["m1", "0.240", "+0.120", "1.50", "1.50"]  # AP 0.24 and 0.12; 3 and 2 seconds; epochs 4 and 6
    (epochs, *_), (few, *_) = (learning_figures(curves, shown) for shown in (models, models[:6]))
    assert (len(epochs.legends), epochs.axes[0].get_legend()) == (1, None)
    assert few.axes[0].get_legend() is not None
    looks = {(line.get_color(), line.get_linestyle()) for line in epochs.axes[0].lines}
    assert len(looks) == 16
    assert (models_text(models), models_text(models[:3])) == ("16 models", "m0, m1, m2")


def test_models_that_learned_nothing_are_not_compared():
    page = written([curve(model, [0.0] * 6, s) for s in range(3) for model in ("slow", "fast")], "slow")
    assert "No model learned anything within 6 epochs. Use longer schedules." in page
    assert "best model's" not in page
    assert page.count("<p>") == 1
    assert not any(tag in page for tag in ("<h2", "<table", "<svg", 'class="tiles"'))


@pytest.mark.parametrize("seeds", [1, 2])
def test_schedules_of_one_evaluation_have_a_mark_for_each_model(seeds):
    curves = [curve(model, [ap + s / 100], s) for s in range(seeds) for model, ap in (("slow", 0.1), ("fast", 0.2))]
    plots = [figure.axes[0] for figure in learning_figures(curves, ["slow", "fast"])]
    assert [[line.get_marker() for line in plot.lines] for plot in plots] == [["o", "s"]] * 4
    assert [len(plot.collections) for plot in plots] == [2 * (seeds > 1)] * 4
    page = written(curves, "slow")
    assert "schedule, 1 epoch." in page
    assert "after 1 epoch;" in page
    assert "1 epochs" not in page


def test_a_reference_that_has_not_learned_sets_no_levels():
    page = written([curve("slow", [0.0] * 6), curve("fast", ramp(0.1, 6))], "slow")
    assert "slow has not started to learn within 6 epochs" in page
    assert "AP during training" in page
    assert "When each model reached the level" not in page


def test_plots_stack_on_a_phone():
    page = written(slow_and_fast(1), "slow")
    assert page.count("<svg ") == 5
    assert all(int(least) < 300 for least in re.findall(r"--least:(\d+)px", page))


def test_a_seed_in_which_the_reference_learned_nothing_is_left_out():
    curves = slow_and_fast(3)
    curves[-2] = curve("slow", [0.0] * 40, 2)
    page = written(curves, "slow")
    assert "reached in" not in page
    assert "times fewer" in page


def test_a_reference_that_was_best_at_its_last_evaluation_is_reported():
    assert "slow was best at its last evaluation" in written(slow_and_fast(3), "slow")
    assert "best at its last evaluation" not in written(slow_and_fast(3), "fast")


def test_seeds_evaluated_at_different_times_have_one_line_and_one_range():
    _, plots = chart()
    curves = [curve("a", [0.0, 0.2, 0.4], 0), curve("a", [0.1, 0.3, 0.5, 0.7], 1)]
    _plot_model(plots[0], curves, lambda p: p.seconds * (1 if p.ap in (0.0, 0.2, 0.4) else 1.5), lambda p: p.ap, 0)
    (line,) = plots[0].lines
    assert list(line.get_xdata()) == [2, 3, 4, 6]  # up to the last time of both
    assert line.get_ydata()[1] == (0.1 + 0.1) / 2  # halfway from 0.0 to 0.2, and 0.1
    assert len(plots[0].collections) == 1
