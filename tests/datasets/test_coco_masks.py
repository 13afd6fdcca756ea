"""The box around a segmentation: equal to pycocotools' for masks, and the extreme points of polygons."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as pycocotools

from condetr.datasets.coco_masks import box_around
from condetr.datasets.open import open_dataset
from condetr.examining.examine import examine
from tests.labelled import coco_content


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_the_box_of_a_mask_is_that_of_pycocotools(height, width, share, seed):
    mask = np.asfortranarray(np.random.default_rng(seed).random((height, width)) < share, np.uint8)
    compressed = pycocotools.encode(mask)
    values = mask.ravel(order="F").tolist()
    runs, current = [0], 0
    for value in values:
        if value != current:
            runs.append(0)
            current = value
        runs[-1] += 1
    expected = pycocotools.toBbox(compressed).tolist() if mask.any() else None
    for counts in (runs, compressed["counts"].decode()):
        found = box_around({"size": [height, width], "counts": counts})
        assert (found and list(found)) == expected


def test_the_runs_of_a_large_mask_are_decompressed():
    mask = np.zeros((700, 900), np.uint8, order="F")
    mask[100:650, 37:880] = 1
    mask[3, 500] = 1
    counts = pycocotools.encode(mask)["counts"].decode()
    assert box_around({"size": [700, 900], "counts": counts}) == (37, 3, 843, 647)


@pytest.mark.parametrize(
    "polygons",
    [[[1, 2, 11, 2, 11, 8]], [1, 2, 11, 2, 11, 8], [[[1, 2], [11, 2], [11, 8]]], [[1, 2, 3, 2, 3, 4], [9, 3, 11, 8]]],
    ids=["usual", "one flat list", "points", "two parts"],
)
def test_the_box_of_polygons_encloses_all_points(polygons):
    assert box_around(polygons) == (1, 2, 10, 6)


@pytest.mark.parametrize(
    "segmentation",
    [
        None, [], {}, "polygon", [[1, 2]], [[1, 2, 3, 4, 5]], [["a"] * 6], [[1e400, 0, 1, 1, 2, 2]],
        {"size": [4, 4], "counts": [16]}, {"size": [4, 4], "counts": [0, 17]}, {"size": [0, 4], "counts": [0, 1]},
        {"size": [4, 4], "counts": [3, -1]}, {"size": [4, 4], "counts": "\x00é"}, {"size": [4, 4], "counts": "P"},
        {"size": "44", "counts": []}, {"size": [4], "counts": [1, 2]}, {"size": [4, 4], "counts": None},
    ],
    ids=str,
)  # fmt: skip
def test_an_empty_or_invalid_segmentation_has_no_box(segmentation):
    assert box_around(segmentation) is None


@pytest.mark.parametrize("bbox", ["missing", None, [], [0, 0, 0, 0]], ids=str)
def test_an_object_without_a_box_gets_the_box_around_its_segmentation(roboflow, bbox):
    content = coco_content(1, boxes=1, categories=(1,))
    polygon, mask = content["annotations"]
    polygon["segmentation"] = [[4, 5, 12, 5, 12, 11]]
    mask["segmentation"] = {"size": [48, 64], "counts": [100, 20, 28, 20, 2904]}
    for annotation in content["annotations"]:
        annotation["bbox"] = bbox
        if bbox == "missing":
            del annotation["bbox"]
    diagnosis = examine(open_dataset(roboflow(train=content)))
    boxes = [sample.truth.boxes.tolist() for sample in diagnosis.dataset.split("train")]
    assert boxes == [[[4, 5, 12, 11]], [[2, 4, 4, 24]]]
    assert [(f.name, f.detail) for f in diagnosis.findings if f.name == "mask_boxes"] == [
        ("mask_boxes", "2 objects with a segmentation and no box")
    ]


def test_a_box_is_used_as_it_is_written_beside_a_segmentation(roboflow):
    content = coco_content(1, boxes=1, categories=(1,))
    for annotation in content["annotations"]:
        annotation["segmentation"] = [[0, 0, 60, 0, 60, 40]]
    diagnosis = examine(open_dataset(roboflow(train=content)))
    assert diagnosis.findings == ()
    assert diagnosis.dataset.split("train").samples[0].truth.boxes.tolist() == [[4, 5, 12, 11]]


def test_an_object_with_neither_is_reported(roboflow):
    content = json.loads(json.dumps(coco_content(1)))
    content["annotations"][0] |= {"bbox": None, "segmentation": []}
    findings = open_dataset(roboflow(train=content)).findings
    assert [finding.detail for finding in findings] == ["annotations[0] has no bbox of four numbers"]
