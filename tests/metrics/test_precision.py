"""Average precision, resampling, thresholds and calibration against slow obvious computations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condetr.metrics.coco import accumulate, summarise
from condetr.metrics.matching import match
from condetr.metrics.precision import average_precision, best_threshold, bootstrap, calibrate, reweighted

from .scenes import scene
from .tables import THREE, columns_of, image


def slow_average_precision(hits: list[bool], objects: int) -> float:
    """At each of 101 recalls the best precision of any cut that reaches it, else 0."""
    cuts = [(sum(hits[:n]) / objects, sum(hits[:n]) / n) for n in range(1, len(hits) + 1)]
    recalls = np.linspace(0, 1, 101)
    return float(np.mean([max([p for r, p in cuts if r >= recall], default=0.0) for recall in recalls]))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.booleans(), max_size=30), st.integers(0, 5))
def test_average_precision_is_the_mean_of_the_best_precision_at_each_recall(hits: list[bool], more: int) -> None:
    objects = sum(hits) + more
    got = average_precision(np.array(hits, bool), objects)
    if objects == 0:
        assert np.isnan(got)
    else:
        assert got == pytest.approx(slow_average_precision(hits, objects), abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_our_matches_give_cocos_ap(seed: int) -> None:
    columns = columns_of(*scene(seed))
    ap, ap50 = reweighted(columns, match(columns, 4), np.ones((1, len(columns.image_ids)), np.int64))
    summary = summarise(accumulate(columns, 4))
    assert ap[0] == pytest.approx(summary.ap, abs=1e-12)
    assert ap50[0] == pytest.approx(summary.ap50, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_a_resample_weighed_is_the_resample_evaluated_anew(seed: int) -> None:
    """Scores differ here: among equal scores inside one image, copies of it come in another order."""
    columns = columns_of(*scene(seed, images=20, tied=False))
    drawn = np.random.default_rng(seed).integers(0, 20, (3, 20))
    weights = np.stack([np.bincount(row, minlength=20) for row in drawn])
    ap, ap50 = reweighted(columns, match(columns, 4), weights)
    for row, mine, mine50 in zip(drawn, ap, ap50):
        anew = summarise(accumulate(columns.pick(row), 4))
        assert mine == pytest.approx(anew.ap, abs=1e-12)
        assert mine50 == pytest.approx(anew.ap50, abs=1e-12)


def test_intervals_hold_the_estimate_and_repeat_themselves() -> None:
    columns = columns_of(*scene(4, images=60, classes=2))
    matches = match(columns, 2)
    first, again = (bootstrap(columns, matches, 400) for _ in range(2))
    assert first == again
    summary = summarise(accumulate(columns, 2))
    assert first.ap.low < summary.ap < first.ap.high
    assert first.ap50.low < summary.ap50 < first.ap50.high
    fewer = columns.pick(np.arange(12))
    wide = bootstrap(fewer, match(fewer, 2), 400)
    assert wide.ap50.high - wide.ap50.low > first.ap50.high - first.ap50.low


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """Many small test sets drawn from one large one: 90 % intervals should hold the large set's AP50 most times."""
    everything = columns_of(*scene(9, images=400, classes=2, answers=8))
    truth = summarise(accumulate(everything, 2)).ap50
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        some = everything.pick(random.choice(400, 50, replace=False))
        interval = bootstrap(some, match(some, 2), 200, level=0.9).ap50
        covered += interval.low <= truth <= interval.high
    assert 0.8 <= covered / 60 <= 1.0


@pytest.mark.parametrize("seed", range(6))
def test_no_other_threshold_has_a_better_f1(seed: int) -> None:
    columns = columns_of(*scene(seed))
    matches = match(columns, 4)
    for label in range(4):
        entries = matches.of(label)
        keep = ~matches.ignored[0, entries]
        score, hit = matches.score[entries][keep], matches.hit[0, entries][keep]
        best = best_threshold(matches, label)
        if not hit.any():
            assert np.isnan(best.threshold)
            assert best.f1 == best.recall == 0
            continue
        tried = [
            2 * hit[score >= bar].sum() / (matches.objects[label] + (score >= bar).sum()) for bar in np.unique(score)
        ]
        assert best.f1 == pytest.approx(max(tried))
        shown = score >= best.threshold
        assert best.precision == pytest.approx(hit[shown].mean())
        assert best.recall == pytest.approx(hit[shown].sum() / matches.objects[label])


def test_a_class_that_is_never_found_has_no_best_threshold() -> None:
    columns = columns_of(*map(list, zip(image(1, [("cat", (0, 0, 9, 9))], [("dog", (0, 0, 9, 9), 0.5)]))), THREE)
    matches = match(columns, 3)
    assert all(np.isnan(best_threshold(matches, label).threshold) for label in range(3))


def test_calibration_of_three_answers_by_hand() -> None:
    things = [("cat", (0, 0, 10, 10)), ("cat", (50, 50, 70, 70))]
    answers = [
        ("cat", (0, 0, 10, 10), 0.92), ("cat", (50, 50, 70, 70), 0.62), ("cat", (100, 100, 120, 120), 0.64)
    ]  # fmt: skip
    columns = columns_of(*map(list, zip(image(1, things, answers))), THREE)
    calibration = calibrate(match(columns, 3), bins=10)
    assert calibration.count.tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0, 1]
    assert calibration.precision[[6, 9]] == pytest.approx([0.5, 1.0])
    assert calibration.score[[6, 9]] == pytest.approx([0.63, 0.92])
    assert calibration.error == pytest.approx((2 * 0.13 + 0.08) / 3)
