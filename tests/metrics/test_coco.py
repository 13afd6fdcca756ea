"""The twelve numbers equal pycocotools'."""

import json
from pathlib import Path

import numpy as np
import pytest

from condetr.detections import Detections
from condetr.errors import DataError
from condetr.metrics import NAMES, Evaluator
from condetr.types import Categories, Truth

from .scenes import measure, pycocotools_eval, scene


def ours(truths: list[Truth], detections: list[Detections], categories: Categories) -> np.ndarray:
    evaluator = Evaluator(categories)
    for truth, found in zip(truths, detections):
        evaluator.add(truth, found)
    return np.array(list(evaluator.summary().named().values()))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_equal_to_pycocotools_with_ties_crowds_and_empty_images(seed: int, tied: bool) -> None:
    images = scene(seed, tied=tied)
    np.testing.assert_allclose(ours(*images), pycocotools_eval(*images).stats, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_pycocotools_with_more_than_a_hundred_detections_of_a_class(seed: int) -> None:
    images = scene(seed, images=4, classes=1, objects=60, predicted=400)
    most = max(len(found) for found in images[1])
    assert most > 150
    theirs = pycocotools_eval(*images)
    np.testing.assert_allclose(ours(*images), theirs.stats, rtol=0, atol=1e-12)
    all_detections = measure(*images, resamples=10).unlimited
    assert all_detections is not None
    assert all_detections.detections == most
    theirs.params.maxDets = [1, 10, most]
    theirs.evaluate()
    theirs.accumulate()
    precision, recall = theirs.eval["precision"][..., 2], theirs.eval["recall"][..., 2]
    expected = [precision[..., 0], *(precision[i, ..., 0] for i in (0, 5)), *(recall[..., area] for area in range(4))]
    means = [part[part > -1].mean() if (part > -1).any() else -1.0 for part in expected]
    np.testing.assert_allclose(list(all_detections.named().values()), means, rtol=0, atol=1e-12)


def test_numbers_for_all_detections_only_where_the_limit_leaves_some_out() -> None:
    assert measure(*scene(0), resamples=10).unlimited is None


def test_equal_to_pycocotools_where_nothing_was_detected_and_where_classes_have_no_object() -> None:
    truths, detections, categories = scene(3, classes=6)
    none = [found[:0] for found in detections]
    np.testing.assert_array_equal(ours(truths, none, categories), pycocotools_eval(truths, none, categories).stats)
    few = [Truth(t.image_id, t.size, *(x[t.labels < 2] for x in (t.boxes, t.labels, t.crowd, t.areas))) for t in truths]
    np.testing.assert_allclose(
        ours(few, detections, categories), pycocotools_eval(few, detections, categories).stats, rtol=0, atol=1e-12
    )


def test_the_first_annotation_counts() -> None:
    """pycocotools treats a match with annotation id 0 as no match."""
    categories = Categories((0,), ("thing",))
    box = np.array([[10.0, 10, 90, 90]])
    truth = Truth(0, (100, 100), box, np.array([0]), np.array([False]), np.array([6400.0]))
    found = Detections(box, np.array([0.9]), np.array([0]), np.array([0]), categories, (100, 100))
    np.testing.assert_allclose(ours([truth], [found], categories)[[0, 1, 2, 4, 6, 8]], 1.0, atol=1e-12)


def test_label_slots_without_a_class_change_nothing() -> None:
    truths, detections, categories = scene(5)
    gaps = Categories((100, *categories.ids, 101), (None, *categories.names, None))
    moved = [Truth(t.image_id, t.size, t.boxes, t.labels + 1, t.crowd, t.areas) for t in truths]
    np.testing.assert_array_equal(ours(moved, detections, gaps), ours(truths, detections, categories))


def test_images_without_a_single_object_are_refused() -> None:
    truths, detections, categories = scene(1)
    empty = [Truth(t.image_id, t.size, t.boxes[:0], t.labels[:0], t.crowd[:0], t.areas[:0]) for t in truths]
    with pytest.raises(DataError, match="not one labelled object"):
        ours(empty, detections, categories)


def test_real_detections_on_real_images_equal_pycocotools(real_data: Path) -> None:
    folder = real_data / "tinycoco" / "reference_detections"
    labels = json.loads((folder / "gt_all.coco.json").read_text())
    predicted = json.loads((folder / "yolox_nano_results.json").read_text())
    reference = json.loads((folder / "pycocotools_stats.json").read_text())
    categories = Categories(*(tuple(c[key] for c in labels["categories"]) for key in ("id", "name")))
    truths, detections = [], []
    for image in labels["images"]:
        mine = [a for a in labels["annotations"] if a["image_id"] == image["id"]]
        found = [a for a in predicted if a["image_id"] == image["id"]]
        size = (image["width"], image["height"])
        truths.append(
            Truth(
                image["id"],
                size,
                xyxy(mine),
                label(mine, categories),
                np.array([a["iscrowd"] for a in mine], bool),
                np.array([a["area"] for a in mine], float),
            )
        )
        scores = np.array([a["score"] for a in found], float)
        detections.append(
            Detections(xyxy(found), scores, label(found, categories), np.zeros(len(found), int), categories, size)
        )
    numbers = ours(truths, detections, categories)
    np.testing.assert_allclose(numbers, pycocotools_eval(truths, detections, categories).stats, rtol=0, atol=1e-12)
    np.testing.assert_allclose(numbers, [reference[name] for name in NAMES], rtol=0, atol=5.1e-7)


def xyxy(entries: list[dict]) -> np.ndarray:
    boxes = np.array([e["bbox"] for e in entries], float).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)


def label(entries: list[dict], categories: Categories) -> np.ndarray:
    return np.array([categories.label_of[e["category_id"]] for e in entries], int)
