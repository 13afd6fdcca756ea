"""Each kind of mistake is called by its name, and mending it is worth what evaluating the mended answers says."""

import numpy as np
import pytest

from condetr.metrics.coco import accumulate, summarise
from condetr.metrics.confusion import confusion
from condetr.metrics.matching import match
from condetr.metrics.mistakes import KINDS, errors

from .scenes import scene
from .tables import THREE, Answers, Things, columns_of, image

A, B, FAR = (0, 0, 20, 20), (100, 100, 140, 140), (160, 0, 190, 30)
HALF_A = (0, 0, 20, 9)  # IoU 0.45 with A


def told(things: Things, answers: Answers) -> tuple[dict[str, int], dict[str, float]]:
    columns = columns_of(*map(list, zip(image(1, things, answers))), THREE)
    found = errors(columns, match(columns, 3))
    counts = {kind: int(n) for kind, n in zip(KINDS, found.counts) if n}
    return counts, dict(zip(KINDS, found.gains.tolist()))


@pytest.mark.parametrize(
    ("answers", "expected"),
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
def test_one_object_and_its_mistakes(answers: Answers, expected: dict[str, int]) -> None:
    assert told([("cat", A)], answers)[0] == expected


def test_mending_makes_a_hit_once_and_removes_the_rest() -> None:
    things: Things = [("cat", A), ("cat", B)]
    counts, gains = told(things, [("cat", B, 0.9), ("cat", HALF_A, 0.8), ("cat", HALF_A, 0.7), ("dog", A, 0.6)])
    assert counts == {"localisation": 2, "class": 1}
    before = 51 / 101  # one of two cats at precision 1: recalls 0 … 0.50
    assert gains["localisation"] == pytest.approx(1 - before)
    # Mended, the dog is the second cat, behind two badly placed answers: precision 2/4 for recalls 0.51 … 1.
    assert gains["class"] == pytest.approx(50 * 0.5 / 101)
    assert gains["missed"] == gains["background"] == gains["duplicate"] == gains["both"] == 0


def test_mending_duplicates_background_and_both_is_to_leave_them_out() -> None:
    things: Things = [("cat", A), ("cat", B)]
    duplicate: Answers = [("cat", B, 0.9), ("cat", B, 0.8), ("cat", A, 0.7)]
    assert told(things, duplicate)[1]["duplicate"] == pytest.approx(50 * (1 - 2 / 3) / 101)
    background: Answers = [("cat", FAR, 0.9), ("cat", B, 0.8), ("cat", A, 0.7)]
    assert told(things, background)[1]["background"] == pytest.approx(1 - 2 / 3)
    both: Answers = [("cat", B, 0.8), ("cat", A, 0.7), ("owl", HALF_A, 0.9)]
    assert told([*things, ("owl", FAR)], [*both, ("owl", FAR, 0.5)])[1]["both"] == pytest.approx(0.25)


def test_mending_what_was_missed_asks_for_less() -> None:
    counts, gains = told([("cat", A), ("cat", B), ("dog", FAR)], [("cat", A, 0.9)])
    assert counts == {"missed": 2}
    assert gains["missed"] == pytest.approx(1 - (51 / 101) / 2)


@pytest.mark.parametrize("seed", range(6))
def test_every_wrong_answer_has_one_kind_and_no_gain_hurts(seed: int) -> None:
    columns = columns_of(*scene(seed, images=30))
    matches = match(columns, 4)
    found = errors(columns, matches)
    assert found.counts[:5].sum() == (~matches.hit[0] & ~matches.ignored[0]).sum()
    assert (found.gains >= -1e-12).all()
    assert (found.counts > 0).sum() >= 5
    assert (found.gains <= 1 - summarise(accumulate(columns, 4)).ap50 + 1e-12).all()


def test_confusion_by_hand() -> None:
    things: Things = [("cat", A), ("dog", B), ("owl", FAR)]
    answers: Answers = [
        ("cat", A, 0.9), ("cat", B, 0.8), ("dog", B, 0.7), ("owl", (0, 100, 30, 130), 0.6), ("owl", FAR, 0.2)
    ]  # fmt: skip
    columns = columns_of(*map(list, zip(image(1, things, answers))), THREE)
    counts = confusion(columns, match(columns, 3), np.full(3, 0.5)).counts
    expected = np.zeros((4, 4), int)
    expected[0, 0] = 1  # the cat
    expected[1, 1] = 1  # of two answers in one place the right class is paired, though its score is lower
    expected[3, 0] = 1  # the cat seen in the dog's place
    expected[3, 2] = 1  # an owl where there is none
    expected[2, 3] = 1  # the owl, answered below the threshold
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("seed", range(5))
def test_confusion_counts_each_object_and_each_answer_once(seed: int) -> None:
    columns = columns_of(*scene(seed, images=30))
    matches = match(columns, 4)
    bars = np.array([0.2, 0.4, 0.6, 0.8])
    counts = confusion(columns, matches, bars).counts
    shown = (matches.score >= bars[matches.label]) & ~matches.ignored[0]
    np.testing.assert_array_equal(counts[:4].sum(1), matches.objects)
    np.testing.assert_array_equal(counts[:, :4].sum(0), np.bincount(matches.label[shown], minlength=4))
    assert counts[4, 4] == 0
