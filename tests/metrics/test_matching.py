"""Matching all images at once is COCO's loop over each of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condetr.detections import Detections
from condetr.metrics import matching
from condetr.metrics.matching import match, overlap
from condetr.types import Categories, Truth

from .scenes import judged, scene
from .tables import THREE, Answers, Things, columns_of, image


@pytest.mark.parametrize("cells", [4_000_000, 50])
@pytest.mark.parametrize("seed", range(6))
def test_every_hit_and_every_ignored_answer_is_pycocotools(
    seed: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "_CELLS", cells)
    agrees_with_pycocotools(*scene(seed, objects=12, answers=60))


def test_of_two_objects_equally_near_the_last_is_taken_as_in_pycocotools() -> None:
    """The first answer lies between two objects; the second fits only the one that the first took."""
    things: Things = [("cat", (0, 0, 20, 10)), ("cat", (10, 0, 30, 10))]
    answers: Answers = [("cat", (5, 0, 25, 10), 0.9), ("cat", (10, 0, 30, 10), 0.8)]
    images = [[one] for one in image(1, things, answers)]
    agrees_with_pycocotools(*images, THREE)
    assert match(columns_of(*images, THREE), 3).hit[0].tolist() == [True, False]


def test_a_hundred_answers_of_a_class_count_as_in_pycocotools() -> None:
    agrees_with_pycocotools(*scene(2, images=4, classes=1, objects=40, answers=400))


def agrees_with_pycocotools(truths: list[Truth], detections: list[Detections], categories: Categories) -> None:
    columns = columns_of(truths, detections, categories)
    matches = match(columns, len(categories))
    seen = 0
    for one in judged(truths, detections, categories).evalImgs:
        if one is None or one["aRng"] != [0, 1e10]:
            continue
        image = int(np.searchsorted(columns.image_ids, one["image_id"]))
        entries = matches.of(categories.ids.index(one["category_id"]))
        mine = np.flatnonzero(matches.image[entries] == image) + entries.start
        np.testing.assert_allclose(matches.score[mine], one["dtScores"], rtol=0, atol=1e-12)
        hit = (np.array(one["dtMatches"]) > 0) & ~one["dtIgnore"].astype(bool)
        np.testing.assert_array_equal(matches.hit[:, mine], hit)
        np.testing.assert_array_equal(matches.ignored[:, mine], one["dtIgnore"].astype(bool))
        seen += len(mine)
    assert seen == len(matches.row) > 0


def test_the_partner_is_the_object_found_and_no_object_is_found_twice() -> None:
    columns = columns_of(*scene(11, images=30))
    matches = match(columns, 4)
    hit = matches.hit[0]
    assert ((matches.partner >= 0) == hit).all()
    partners = matches.partner[hit]
    assert len(set(partners.tolist())) == len(partners) > 20
    np.testing.assert_array_equal(columns.truth_label[partners], matches.label[hit])
    np.testing.assert_array_equal(columns.truth_image[partners], matches.image[hit])
    nothing = np.zeros(len(partners), bool)
    iou = overlap(columns.found_box[matches.row[hit]], columns.truth_box[partners], nothing)
    assert (iou >= 0.5).all()
    assert not columns.truth_crowd[partners].any()


box = st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 20)] * 2)


@settings(max_examples=60, deadline=None)
@given(box, box, st.booleans())
def test_overlap_counts_common_pixels(a: tuple[int, ...], b: tuple[int, ...], crowd: bool) -> None:
    def pixels(one: tuple[int, ...]) -> set[tuple[int, int]]:
        return {(x, y) for x in range(one[0], one[0] + one[2]) for y in range(one[1], one[1] + one[3])}

    common = len(pixels(a) & pixels(b))
    union = len(pixels(a)) if crowd else len(pixels(a) | pixels(b))
    got = overlap(np.array(a, float), np.array(b, float), np.array(crowd))
    assert float(got) == pytest.approx(common / union, abs=1e-12)
