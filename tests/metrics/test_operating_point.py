"""The best threshold of a class has the largest F1 of all thresholds."""

import numpy as np
import pytest

from condetr.metrics.matching import match
from condetr.metrics.operating_point import best_operating_point

from .scenes import scene
from .tables import THREE, image, table_of


@pytest.mark.parametrize("seed", range(6))
def test_no_other_threshold_has_a_better_f1(seed: int) -> None:
    table = table_of(*scene(seed))
    matches = match(table, 4)
    for label in range(4):
        entries = matches.of_class(label)
        keep = ~matches.ignored[0, entries]
        score, correct = matches.score[entries][keep], matches.correct[0, entries][keep]
        best = best_operating_point(matches, label)
        if not correct.any():
            assert np.isnan(best.threshold)
            assert best.f1 == best.recall == 0
            continue
        tried = [
            2 * correct[score >= threshold].sum() / (matches.objects[label] + (score >= threshold).sum())
            for threshold in np.unique(score)
        ]
        assert best.f1 == pytest.approx(max(tried))
        shown = score >= best.threshold
        assert best.precision == pytest.approx(correct[shown].mean())
        assert best.recall == pytest.approx(correct[shown].sum() / matches.objects[label])


def test_a_class_without_a_true_positive_has_no_best_threshold() -> None:
    table = table_of(*map(list, zip(image(1, [("cat", (0, 0, 9, 9))], [("dog", (0, 0, 9, 9), 0.5)]))), THREE)
    matches = match(table, 3)
    assert all(np.isnan(best_operating_point(matches, label).threshold) for label in range(3))
