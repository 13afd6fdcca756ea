import json

import numpy as np
import pytest
import torch

from condetr.detections import Detections, best
from condetr.scoring import FocalScoring
from condetr.types import Categories, Predictions

CATEGORIES = Categories(ids=(0, 5, 9), names=(None, "cell", "dust"))


def one() -> Detections:
    logits = torch.tensor([[[[9.0, 2.0, -3.0], [9.0, -1.0, 1.0]]]])
    boxes = torch.tensor([[[[0.5, 0.5, 0.2, 0.4], [0.25, 0.75, 0.5, 0.5]]]])
    return best(Predictions(logits, boxes), FocalScoring(0.25, 2.0), [(200, 100)], CATEGORIES, limit=3)[0]


def test_boxes_are_pixels_of_the_image_best_first():
    found = one()
    assert found.names == ["cell", "dust", "cell"]
    assert found.category_ids == [5, 9, 5]
    assert found.queries.tolist() == [0, 1, 1]
    np.testing.assert_allclose(found.boxes[0], [80, 30, 120, 70], rtol=1e-6)
    np.testing.assert_allclose(found.boxes[1], [0, 50, 100, 100], rtol=1e-6)
    assert (np.diff(found.scores) <= 0).all()


def test_some_of_them_are_detections_too():
    found = one()
    assert len(found[0]) == 1
    assert found[-1].names == ["cell"]
    assert len(found[found.scores > 2]) == 0
    assert len(found[[]]) == 0
    assert [each.names[0] for each in found] == found.names
    with pytest.raises(IndexError):
        found[3]


def test_a_threshold_may_differ_by_class():
    found = one()
    assert len(found.above(0.5)) == 2
    assert found.above([0.0, 0.9, 0.5]).names == ["dust"]


def test_coco_results_are_json_with_the_data_sets_ids():
    rows = json.loads(json.dumps(one().to_coco(image_id=7)))
    assert rows[0]["category_id"] == 5
    assert rows[0]["image_id"] == 7
    np.testing.assert_allclose(rows[0]["bbox"], [80, 30, 40, 40], rtol=1e-6)
