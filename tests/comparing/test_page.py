"""What the page of a comparison says follows from its numbers, also where they are few or odd."""

import html

from condetr.comparing.page import _curves, _finals, _headline, _targets
from condetr.comparing.statistics import compare
from condetr.reports.page import Page

from .curves import curve, ramp


def written(curves: list, reference: str) -> str:
    comparison, models = compare(curves, reference), list(dict.fromkeys(c.model for c in curves))
    page = Page("a comparison")
    _headline(page, comparison, models)
    _curves(page, comparison, curves, models)
    _targets(page, comparison, models)
    _finals(page, comparison)
    return html.unescape(page.html())


def slow_and_fast(seeds: int, epochs: int = 40) -> list:
    return [curve(m, ramp(s, epochs), seed) for seed in range(seeds) for m, s in (("slow", 0.0125), ("fast", 0.05))]


def test_a_model_that_is_sooner_takes_fewer_epochs_and_one_that_is_later_more():
    sooner, later = written(slow_and_fast(3), "slow"), written(slow_and_fast(3), "fast")
    assert "3.7 ×" in sooner
    assert "fewer epochs than slow to 90% of its best AP" in sooner
    assert "more epochs than fast" in written(
        [*slow_and_fast(3), *(curve("third", ramp(0.02, 40), s) for s in range(3))], "fast"
    )
    assert "fewer epochs than" not in later
    third = written([*slow_and_fast(3), *(curve("third", ramp(0.02, 40), s) for s in range(3))], "fast")
    assert "seed by seed 2.40 (2.40 … 2.40) times more" in third
    assert "times fewer" not in third


def test_how_many_seeds_missed_a_level_is_counted():
    curves = slow_and_fast(2)
    curves[-1] = curve("fast", [0.0] * 40, 1)
    page = written(curves, "slow")
    assert "fast did not reach 90% of slow's best AP" in page
    assert "within 40 epochs in 1 of 2 seeds, so there is no ratio" in page
    assert "1 of 2 seeds got there" in page


def test_too_few_evaluations_are_said_to_be_too_few():
    page = written([curve(m, [0.1, 0.3], s) for s in range(2) for m in ("slow", "fast")], "slow")
    assert "Less than 3 evaluations were made in 2 epochs" in page
    assert "did not reach" not in page
    assert "got there" not in page


def test_two_seeds_have_a_range_and_neither_an_interval_nor_a_p():
    page = written([curve(m, [0.1, 0.2, 0.3 + 0.3 * s], s) for s in range(2) for m in ("slow", "fast")], "slow")
    assert "seeds 0.300 – 0.600" in page
    assert "too few seeds to say (2)" in page
    assert "0.000 – 1.000" in page  # Student's interval of two seeds, as far as an AP goes


def test_a_model_without_a_run_of_the_schedule_has_no_line():
    page = written([curve("a", ramp(0.1, 10)), curve("b", ramp(0.1, 20))], "a")
    assert "AP while learning" in page


def test_where_nobody_has_learned_nobody_is_compared():
    page = written([curve(model, [0.0] * 6, s) for s in range(3) for model in ("slow", "fast")], "slow")
    assert "No model has learned anything within 6 epochs" in page
    assert "best model's" not in page


def test_a_seed_in_which_the_reference_learned_nothing_blames_no_model():
    curves = slow_and_fast(3)
    curves[-2] = curve("slow", [0.0] * 40, 2)
    page = written(curves, "slow")
    assert "got there" not in page
    assert "times fewer" in page


def test_a_reference_that_was_best_at_its_end_is_said_to_have_been():
    assert "slow was best at its last evaluation" in written(slow_and_fast(3), "slow")
    assert "best at its last evaluation" not in written(slow_and_fast(3), "fast")


def test_seeds_measured_at_different_moments_have_one_line_and_a_band():
    from condetr.comparing.page import _line
    from condetr.reports.charts import chart

    _, plots = chart()
    curves = [curve("a", [0.0, 0.2, 0.4], 0), curve("a", [0.1, 0.3, 0.5, 0.7], 1)]
    _line(plots[0], curves, lambda p: p.seconds * (1 if p.ap in (0.0, 0.2, 0.4) else 1.5), "ap", "a", 0)
    (line,) = plots[0].lines
    assert list(line.get_xdata()) == [2, 3, 4, 6]  # as far as both go
    assert line.get_ydata()[1] == (0.1 + 0.1) / 2  # halfway from 0.0 to 0.2, and 0.1
    assert len(plots[0].collections) == 1
