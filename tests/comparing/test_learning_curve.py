"""A level is reached by the median of three evaluations, not by a single one."""

import pytest

from .curves import curve


def test_a_single_high_evaluation_reaches_no_level():
    assert curve("m", [0.1, 0.1, 0.9, 0.1, 0.1, 0.1]).first_reaching(0.5) is None


def test_a_level_is_reached_at_the_first_running_median_above_it():
    point = curve("m", [0.1, 0.3, 0.6, 0.2, 0.5, 0.5]).first_reaching(0.5)
    assert point is not None
    assert (point.epoch, point.images, point.seconds) == (5, 500, 10.0)


def test_reached_counts_epochs_not_evaluations():
    point = curve("m", [0.5] * 4, every=5).first_reaching(0.5)
    assert point is not None
    assert point.epoch == 15


def test_the_best_is_the_best_median_and_a_curve_reaches_its_own():
    one = curve("m", [0.1, 0.2, 0.9, 0.3, 0.4])
    assert one.best == 0.4
    assert one.first_reaching(one.best) is not None


def test_with_two_evaluations_the_best_is_their_maximum():
    assert curve("m", [0.1, 0.3]).best == 0.3


def test_the_mean_ap_is_the_area_under_the_curve():
    assert curve("m", [0.5, 0.5, 0.5, 0.5]).mean_ap == pytest.approx((0.25 + 0.5 * 3) / 4)
    assert curve("m", [0.4, 0.4], every=5).mean_ap == pytest.approx((0.2 * 5 + 0.4 * 5) / 10)
    assert curve("early", [0.5, 0.5, 0.5]).mean_ap > curve("late", [0.0, 0.0, 0.5]).mean_ap
