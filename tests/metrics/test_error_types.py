"""Each error has the right type, fixing it gains what the fixed detections score, and the confusion matrix is right."""

from dataclasses import fields

import numpy as np
import pytest

from condetr.metrics.box_table import BoxTable
from condetr.metrics.coco import accumulate, summarise
from condetr.metrics.confusion import confusion
from condetr.metrics.error_types import ERROR_TYPES, analyse_errors
from condetr.metrics.matching import match

from .scenes import scene
from .tables import THREE, Objects, Predicted, image, table_of

A, B, FAR = (0, 0, 20, 20), (100, 100, 140, 140), (160, 0, 190, 30)
HALF_A = (0, 0, 20, 9)  # IoU 0.45 with A


def error_counts(objects: Objects, predicted: Predicted) -> tuple[dict[str, int], dict[str, float]]:
    table = table_of(*map(list, zip(image(1, objects, predicted))), THREE)
    found = analyse_errors(table, match(table, 3), np.full(3, 0.5))
    counts = {name: int(n) for name, n in zip(ERROR_TYPES, found.counts) if n}
    return counts, dict(zip(ERROR_TYPES, found.gains.tolist()))


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ([("cat", A, 0.9)], {}),
        ([("cat", HALF_A, 0.9)], {"localisation": 1}),
        ([("dog", A, 0.9)], {"class": 1}),
        ([("dog", HALF_A, 0.9)], {"both": 1, "missed": 1}),
        ([("cat", A, 0.9), ("cat", A, 0.8)], {"duplicate": 1}),
        ([("cat", FAR, 0.9)], {"background": 1, "missed": 1}),
        ([], {"missed": 1}),
        ([("cat", A, 0.9), ("cat", HALF_A, 0.8)], {"localisation": 1}),
    ],
)
def test_errors_of_one_object_have_the_right_type(predicted: Predicted, expected: dict[str, int]) -> None:
    assert error_counts([("cat", A)], predicted)[0] == expected


def test_fixing_makes_one_true_positive_per_object_and_removes_the_rest() -> None:
    objects: Objects = [("cat", A), ("cat", B)]
    counts, gains = error_counts(
        objects, [("cat", B, 0.9), ("cat", HALF_A, 0.8), ("cat", HALF_A, 0.7), ("dog", A, 0.6)]
    )
    assert counts == {"localisation": 2, "class": 1}
    before = 51 / 101  # one of two cats at precision 1: recalls 0 … 0.50
    assert gains["localisation"] == pytest.approx(1 - before)
    # Fixed, the dog is the second cat, after two localisation errors: precision 2/4 for recalls 0.51 … 1.
    assert gains["class"] == pytest.approx(50 * 0.5 / 101)
    assert gains["missed"] == gains["background"] == gains["duplicate"] == gains["both"] == 0


def test_fixing_removes_duplicates_background_and_both() -> None:
    objects: Objects = [("cat", A), ("cat", B)]
    duplicate: Predicted = [("cat", B, 0.9), ("cat", B, 0.8), ("cat", A, 0.7)]
    assert error_counts(objects, duplicate)[1]["duplicate"] == pytest.approx(50 * (1 - 2 / 3) / 101)
    background: Predicted = [("cat", FAR, 0.9), ("cat", B, 0.8), ("cat", A, 0.7)]
    assert error_counts(objects, background)[1]["background"] == pytest.approx(1 - 2 / 3)
    both: Predicted = [("cat", B, 0.8), ("cat", A, 0.7), ("owl", HALF_A, 0.9)]
    assert error_counts([*objects, ("owl", FAR)], [*both, ("owl", FAR, 0.5)])[1]["both"] == pytest.approx(0.25)


def test_fixing_removes_missed_objects_from_the_ground_truth() -> None:
    counts, gains = error_counts([("cat", A), ("cat", B), ("dog", FAR)], [("cat", A, 0.9)])
    assert counts == {"missed": 2}
    assert gains["missed"] == pytest.approx(1 - (51 / 101) / 2)


@pytest.mark.parametrize("seed", range(6))
def test_every_false_positive_has_one_type_and_no_gain_is_negative(seed: int) -> None:
    table = table_of(*scene(seed, images=30))
    matches = match(table, 4)
    found = analyse_errors(table, matches, np.full(4, 0.5))
    assert found.counts[:5].sum() == (~matches.correct[0] & ~matches.ignored[0]).sum()
    assert (found.gains >= -1e-12).all()
    assert (found.counts > 0).sum() >= 5
    assert (found.gains <= 1 - summarise(accumulate(table, 4)).ap50 + 1e-12).all()


def test_errors_above_a_threshold_are_those_of_the_detections_above_it_alone() -> None:
    table = table_of(*scene(3, images=30))
    thresholds = np.array([0.2, 0.5, 0.8, 0.4])
    keep = table.detected_score >= thresholds[table.detected_label]
    columns = {f.name: getattr(table, f.name) for f in fields(table)}
    above = BoxTable(**{k: v[keep] if k.startswith("detected") else v for k, v in columns.items()})
    found = analyse_errors(table, match(table, 4), thresholds)
    alone = analyse_errors(above, match(above, 4), np.zeros(4))
    np.testing.assert_array_equal(found.confident, alone.counts)
    assert (found.confident[:5] <= found.counts[:5]).all()
    assert found.confident[:5].sum() < found.counts[:5].sum()
    assert found.confident[5] > found.counts[5]


def test_a_small_confusion_matrix() -> None:
    objects: Objects = [("cat", A), ("dog", B), ("owl", FAR)]
    predicted: Predicted = [
        ("cat", A, 0.9), ("cat", B, 0.8), ("dog", B, 0.7), ("owl", (0, 100, 30, 130), 0.6), ("owl", FAR, 0.2)
    ]  # fmt: skip
    table = table_of(*map(list, zip(image(1, objects, predicted))), THREE)
    counts = confusion(table, match(table, 3), np.full(3, 0.5)).counts
    expected = np.zeros((4, 4), int)
    expected[0, 0] = 1  # the cat
    expected[1, 1] = 1  # of two equal boxes the one of the right class is paired, though its score is lower
    expected[3, 0] = 1  # the cat seen in the dog's place
    expected[3, 2] = 1  # an owl where there is none
    expected[2, 3] = 1  # the owl, detected below the threshold
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("seed", range(5))
def test_confusion_counts_each_object_and_each_detection_once(seed: int) -> None:
    table = table_of(*scene(seed, images=30))
    matches = match(table, 4)
    thresholds = np.array([0.2, 0.4, 0.6, 0.8])
    counts = confusion(table, matches, thresholds).counts
    shown = (matches.score >= thresholds[matches.label]) & ~matches.ignored[0]
    np.testing.assert_array_equal(counts[:4].sum(1), matches.objects)
    np.testing.assert_array_equal(counts[:, :4].sum(0), np.bincount(matches.label[shown], minlength=4))
    assert counts[4, 4] == 0
