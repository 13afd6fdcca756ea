"""Intervals and tests over seeds equal scipy's, and with too few seeds nothing is significant."""

import pytest
from scipy import stats

from condetr.comparing.statistics import differences, interval, spread


def test_a_seed_without_a_value_counts_as_the_latest():
    found = spread([10.0, None, 20.0])
    assert (found.median, found.low, found.high, found.reached, found.seeds) == (20.0, 10.0, None, 2, 3)


def test_there_is_no_median_where_most_seeds_have_no_value():
    assert spread([10.0, None, None]).median is None
    assert spread([10.0, None]).median is None


def test_the_interval_is_students_t():
    values = [0.30, 0.34, 0.29, 0.37]
    low, high = stats.t.interval(0.95, 3, loc=sum(values) / 4, scale=stats.sem(values))
    found = interval(values)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_one_seed_has_no_interval():
    assert interval([0.3]) == type(interval([0.3]))(0.3, None, None, 1)


def test_p_is_that_of_the_paired_t_test():
    model, reference = [0.40, 0.44, 0.39], [0.35, 0.37, 0.36]
    (found,) = differences([list(zip(model, reference))])
    assert found.p == pytest.approx(stats.ttest_rel(model, reference).pvalue)
    assert found.mean == pytest.approx(0.05)


def test_a_shift_that_all_seeds_share_is_significant():
    (found,) = differences([[(0.51, 0.41), (0.30, 0.21), (0.72, 0.61)]])
    assert found.significance == "significantly better"
    (worse,) = differences([[(0.41, 0.51), (0.21, 0.30), (0.61, 0.72)]])
    assert worse.significance == "significantly worse"


def test_noise_is_not_significant():
    (found,) = differences([[(0.4, 0.3), (0.3, 0.4), (0.35, 0.34)]])
    assert found.significance == "not significant"


@pytest.mark.parametrize("seeds", [1, 2])
def test_two_seeds_are_too_few_however_far_apart_the_models_are(seeds):
    (found,) = differences([[(0.9, 0.1), (0.91, 0.11)][:seeds]])
    assert found.significance == f"too few seeds ({seeds})"


def test_several_comparisons_are_corrected_after_holm():
    pairs = [[(0.51, 0.41), (0.30, 0.21), (0.72, 0.61)], [(0.5, 0.4), (0.3, 0.4), (0.35, 0.3)]]
    first, second = differences(pairs)
    assert first.p is not None
    assert second.p is not None
    assert first.p < second.p
    assert first.holm == pytest.approx(2 * first.p)
    assert second.holm == pytest.approx(max(second.p, 2 * first.p))


@pytest.mark.parametrize(("shift", "p"), [(0.0, 1.0), (0.1, 0.0)])
def test_equal_shifts_in_all_seeds_have_an_interval_and_a_p_without_a_warning(shift, p):
    """Up to rounding: scipy's test then warns and gives NaN."""
    values = [0.3, 0.35, 0.61]
    (found,) = differences([[(value + shift, value) for value in values]])
    assert (found.low, found.high) == (pytest.approx(shift), pytest.approx(shift))
    assert found.p == pytest.approx(p, abs=1e-12)
