"""Intervals and tests over seeds are the textbook's, and too few seeds say nothing."""

import pytest
from scipy import stats

from condetr.comparing.spread import differences, interval, spread


def test_a_seed_that_never_gets_there_counts_as_the_latest():
    found = spread([10.0, None, 20.0])
    assert (found.median, found.low, found.high, found.reached, found.seeds) == (20.0, 10.0, None, 2, 3)


def test_where_most_seeds_never_get_there_the_median_is_never():
    assert spread([10.0, None, None]).median is None
    assert spread([10.0, None]).median is None


def test_the_interval_is_students():
    values = [0.30, 0.34, 0.29, 0.37]
    low, high = stats.t.interval(0.95, 3, loc=sum(values) / 4, scale=stats.sem(values))
    found = interval(values)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_one_seed_has_no_interval():
    assert interval([0.3]) == type(interval([0.3]))(0.3, None, None, 1)


def test_p_is_the_paired_tests():
    model, reference = [0.40, 0.44, 0.39], [0.35, 0.37, 0.36]
    (found,) = differences([list(zip(model, reference))])
    assert found.p == pytest.approx(stats.ttest_rel(model, reference).pvalue)
    assert found.mean == pytest.approx(0.05)


def test_a_shift_that_all_seeds_share_is_significant_though_the_seeds_differ_more():
    (found,) = differences([[(0.51, 0.41), (0.30, 0.21), (0.72, 0.61)]])
    assert found.verdict == "significantly better"
    (worse,) = differences([[(0.41, 0.51), (0.21, 0.30), (0.61, 0.72)]])
    assert worse.verdict == "significantly worse"


def test_noise_is_not_significant():
    (found,) = differences([[(0.4, 0.3), (0.3, 0.4), (0.35, 0.34)]])
    assert found.verdict == "not significant"


@pytest.mark.parametrize("seeds", [1, 2])
def test_two_seeds_are_too_few_however_far_apart_the_models_are(seeds):
    (found,) = differences([[(0.9, 0.1), (0.91, 0.11)][:seeds]])
    assert found.verdict == f"too few seeds to say ({seeds})"


def test_several_comparisons_are_corrected_after_holm():
    pairs = [[(0.51, 0.41), (0.30, 0.21), (0.72, 0.61)], [(0.5, 0.4), (0.3, 0.4), (0.35, 0.3)]]
    first, second = differences(pairs)
    assert first.p is not None
    assert second.p is not None
    assert first.p < second.p
    assert first.holm == pytest.approx(2 * first.p)
    assert second.holm == pytest.approx(max(second.p, 2 * first.p))
