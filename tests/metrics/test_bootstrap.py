"""Reweighting the images equals evaluating the resampled images, and the intervals have their nominal coverage."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from condetr.metrics.bootstrap import _interval, bootstrap, weighted_ap
from condetr.metrics.coco import accumulate, summarise
from condetr.metrics.matching import match

from .scenes import scene
from .tables import table_of


@pytest.mark.parametrize("seed", range(8))
def test_with_equal_weights_it_is_cocos_ap(seed: int) -> None:
    table = table_of(*scene(seed))
    ap, ap50 = weighted_ap(table, match(table, 4), np.ones((1, len(table.image_ids)), np.int64))
    summary = summarise(accumulate(table, 4))
    assert ap[0] == pytest.approx(summary.ap, abs=1e-12)
    assert ap50[0] == pytest.approx(summary.ap50, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_weighting_images_equals_evaluating_the_resample(seed: int) -> None:
    """All scores differ: copies of an image would order its equal scores differently."""
    table = table_of(*scene(seed, images=20, tied=False))
    drawn = np.random.default_rng(seed).integers(0, 20, (3, 20))
    weights = np.stack([np.bincount(row, minlength=20) for row in drawn])
    ap, ap50 = weighted_ap(table, match(table, 4), weights)
    for row, mine, mine50 in zip(drawn, ap, ap50):
        anew = summarise(accumulate(table.select(row), 4))
        assert mine == pytest.approx(anew.ap, abs=1e-12)
        assert mine50 == pytest.approx(anew.ap50, abs=1e-12)


def test_intervals_contain_the_estimate_and_are_reproducible() -> None:
    table = table_of(*scene(4, images=60, classes=2))
    matches = match(table, 2)
    first, again = (bootstrap(table, matches, 400) for _ in range(2))
    assert first == again
    summary = summarise(accumulate(table, 2))
    assert first.ap.low < summary.ap < first.ap.high
    assert first.ap50.low < summary.ap50 < first.ap50.high
    fewer = table.select(np.arange(12))
    wide = bootstrap(fewer, match(fewer, 2), 400)
    assert wide.ap50.high - wide.ap50.low > first.ap50.high - first.ap50.low


def test_intervals_cover_the_true_value_as_often_as_their_level() -> None:
    """Many small test sets drawn from one large one: 90 % intervals should hold the large set's AP50 most times."""
    everything = table_of(*scene(9, images=400, classes=2, predicted=8))
    truth = summarise(accumulate(everything, 2)).ap50
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        some = everything.select(random.choice(400, 50, replace=False))
        interval = bootstrap(some, match(some, 2), 200, level=0.9).ap50
        covered += interval.low <= truth <= interval.high
    assert 0.8 <= covered / 60 <= 1.0


def test_resamples_are_drawn_a_few_at_a_time() -> None:
    """Those of 100,000 images would take 800 MB at once. The draws are the same."""
    table = table_of(*scene(4, images=60, classes=2))
    matches = match(table, 2)
    whole = np.random.default_rng(0).multinomial(60, np.full(60, 1 / 60), size=300)
    estimate, values = (weighted_ap(table, matches, weights)[0] for weights in (np.ones((1, 60), np.int64), whole))
    assert bootstrap(table, matches, 300).ap == _interval(values, estimate, 0.95)
    many = replace(table, image_ids=np.arange(20_000))
    tracemalloc.start()
    bootstrap(many, matches, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6, "of 160 MB"
