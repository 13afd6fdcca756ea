"""When a curve has reached something is decided by three evaluations, not by a lucky one."""

import pytest

from .curves import curve


def test_one_lucky_evaluation_reaches_nothing():
    assert curve("m", [0.1, 0.1, 0.9, 0.1, 0.1, 0.1]).reached(0.5) is None


def test_reached_is_the_first_evaluation_whose_running_median_is_there():
    point = curve("m", [0.1, 0.3, 0.6, 0.2, 0.5, 0.5]).reached(0.5)
    assert point is not None
    assert (point.epoch, point.images, point.seconds) == (5, 500, 10.0)


def test_reached_counts_epochs_not_evaluations():
    point = curve("m", [0.5] * 4, every=5).reached(0.5)
    assert point is not None
    assert point.epoch == 15


def test_the_best_is_the_best_median_and_a_curve_reaches_its_own():
    one = curve("m", [0.1, 0.2, 0.9, 0.3, 0.4])
    assert one.best == 0.4
    assert one.reached(one.best) is not None


def test_the_best_of_fewer_evaluations_than_a_median_takes_is_their_best():
    assert curve("m", [0.1, 0.3]).best == 0.3


def test_the_mean_over_epochs_is_the_area_under_the_curve():
    assert curve("m", [0.5, 0.5, 0.5, 0.5]).mean == pytest.approx((0.25 + 0.5 * 3) / 4)
    assert curve("m", [0.4, 0.4], every=5).mean == pytest.approx((0.2 * 5 + 0.4 * 5) / 10)
    assert curve("early", [0.5, 0.5, 0.5]).mean > curve("late", [0.0, 0.0, 0.5]).mean
