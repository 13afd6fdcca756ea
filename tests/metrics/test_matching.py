"""Matching all images at once equals COCO's loop over the images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condetr.detections import Detections
from condetr.metrics import matching
from condetr.metrics.matching import box_iou, match
from condetr.types import Categories, Truth

from .scenes import pycocotools_eval, scene
from .tables import THREE, Objects, Predicted, image, table_of


@pytest.mark.parametrize("cells", [4_000_000, 50])
@pytest.mark.parametrize("seed", range(6))
def test_true_positives_and_ignored_detections_equal_pycocotools(
    seed: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "_CELLS", cells)
    agrees_with_pycocotools(*scene(seed, objects=12, predicted=60))


def test_of_two_objects_with_equal_iou_the_last_is_matched_as_in_pycocotools() -> None:
    """The first detection overlaps both objects equally; the second overlaps only the one that the first matches."""
    objects: Objects = [("cat", (0, 0, 20, 10)), ("cat", (10, 0, 30, 10))]
    predicted: Predicted = [("cat", (5, 0, 25, 10), 0.9), ("cat", (10, 0, 30, 10), 0.8)]
    images = [[one] for one in image(1, objects, predicted)]
    agrees_with_pycocotools(*images, THREE)
    assert match(table_of(*images, THREE), 3).correct[0].tolist() == [True, False]


def test_a_hundred_detections_of_a_class_count_as_in_pycocotools() -> None:
    agrees_with_pycocotools(*scene(2, images=4, classes=1, objects=40, predicted=400))


def agrees_with_pycocotools(truths: list[Truth], detections: list[Detections], categories: Categories) -> None:
    table = table_of(truths, detections, categories)
    matches = match(table, len(categories))
    seen = 0
    for one in pycocotools_eval(truths, detections, categories).evalImgs:
        if one is None or one["aRng"] != [0, 1e10]:
            continue
        image = int(np.searchsorted(table.image_ids, one["image_id"]))
        entries = matches.of_class(categories.ids.index(one["category_id"]))
        mine = np.flatnonzero(matches.image[entries] == image) + entries.start
        np.testing.assert_allclose(matches.score[mine], one["dtScores"], rtol=0, atol=1e-12)
        correct = (np.array(one["dtMatches"]) > 0) & ~one["dtIgnore"].astype(bool)
        np.testing.assert_array_equal(matches.correct[:, mine], correct)
        np.testing.assert_array_equal(matches.ignored[:, mine], one["dtIgnore"].astype(bool))
        seen += len(mine)
    assert seen == len(matches.row) > 0


def test_each_true_positive_has_a_matched_object_of_its_own() -> None:
    table = table_of(*scene(11, images=30))
    matches = match(table, 4)
    correct = matches.correct[0]
    assert ((matches.matched >= 0) == correct).all()
    objects = matches.matched[correct]
    assert len(set(objects.tolist())) == len(objects) > 20
    np.testing.assert_array_equal(table.truth_label[objects], matches.label[correct])
    np.testing.assert_array_equal(table.truth_image[objects], matches.image[correct])
    nothing = np.zeros(len(objects), bool)
    iou = box_iou(table.detected_box[matches.row[correct]], table.truth_box[objects], nothing)
    assert (iou >= 0.5).all()
    assert not table.truth_crowd[objects].any()


box = st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 20)] * 2)


@settings(max_examples=60, deadline=None)
@given(box, box, st.booleans())
def test_box_iou_counts_common_pixels(a: tuple[int, ...], b: tuple[int, ...], crowd: bool) -> None:
    def pixels(one: tuple[int, ...]) -> set[tuple[int, int]]:
        return {(x, y) for x in range(one[0], one[0] + one[2]) for y in range(one[1], one[1] + one[3])}

    common = len(pixels(a) & pixels(b))
    union = len(pixels(a)) if crowd else len(pixels(a) | pixels(b))
    got = box_iou(np.array(a, float), np.array(b, float), np.array(crowd))
    assert float(got) == pytest.approx(common / union, abs=1e-12)
