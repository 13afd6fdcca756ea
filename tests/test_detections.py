"""The detections of one image: iterating, selecting, writing, drawing and cropping."""

import json
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

import condetr
from condetr import box_arrays
from condetr.box_arrays import near
from condetr.boxes import iou_and_giou
from condetr.decoding import decode
from condetr.detections import Detection, Detections, draw
from condetr.errors import CondetrError
from condetr.reports import drawing
from condetr.reports.colors import color_of
from condetr.scoring import FocalScoring, SoftmaxScoring
from condetr.types import Categories, Predictions

CATEGORIES = Categories(ids=(0, 5, 9), names=(None, "cell", "dust"))
LOGITS = torch.tensor([[[[9.0, 2.0, -3.0], [9.0, -1.0, 1.0]]]])
BOXES = torch.tensor([[[[0.5, 0.5, 0.2, 0.4], [0.25, 0.75, 0.5, 0.5]]]])
IMAGE = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)


def decoded(limit: int = 3) -> Detections:
    return decode(Predictions(LOGITS, BOXES), FocalScoring(0.25, 2.0), [(200, 100)], CATEGORIES, limit)[0]


def test_boxes_are_pixels_of_the_image_best_first():
    found = decoded()
    assert found.names == ["cell", "dust", "cell"]
    assert found.category_ids == [5, 9, 5]
    assert found.queries.tolist() == [0, 1, 1]
    np.testing.assert_allclose(found.boxes[0], [80, 30, 120, 70], rtol=1e-6)
    np.testing.assert_allclose(found.boxes[1], [0, 50, 100, 100], rtol=1e-6)
    assert (np.diff(found.scores) <= 0).all()


def test_softmax_scoring_gives_one_class_for_each_query():
    logits = torch.cat([LOGITS, torch.zeros(1, 1, 2, 1)], dim=-1)
    found = decode(Predictions(logits, BOXES), SoftmaxScoring(0.1), [(200, 100)], CATEGORIES)[0]
    assert sorted(found.queries.tolist()) == [0, 1]


def test_iterating_yields_single_detections():
    found = decoded()
    first = next(iter(found))
    assert isinstance(first, Detection)
    assert (first.name, first.category_id, first.label) == ("cell", 5, 1)
    assert first.box == pytest.approx((80, 30, 120, 70))
    assert 0 < first.score < 1
    assert [one.name for one in found] == found.names
    assert list(found) == [found[0], found[1], found[2]]
    assert found[-1] == found[2]
    assert found[np.int64(1)].name == "dust"
    with pytest.raises(IndexError, match="index 3 is out of range for 3 detections"):
        found[3]


def test_a_slice_a_mask_or_a_list_of_indices_gives_detections():
    found = decoded()
    assert found[1:].names == ["dust", "cell"]
    assert found[[2, 0]].queries.tolist() == [1, 0]
    assert len(found[found.scores > 2]) == 0
    assert len(found[[]]) == 0
    assert found[:1].size == found.size


def test_equality_compares_what_was_detected_and_not_the_file():
    found = decoded()
    assert found == decoded()
    assert found == condetr.Detections(*(getattr(found, n) for n in found.__slots__[:6]), file="elsewhere.jpg")
    assert found != found[:2]
    assert found != found[[1, 0, 2]]
    assert (found == 3) is False
    with pytest.raises(TypeError):
        hash(found)


def test_filter_selects_classes_by_name():
    found = decoded()
    assert found.filter(classes="dust").names == ["dust"]
    assert found.filter(classes=["cell", "dust"]) == found
    assert found.filter(classes={"cell"}, min_score=0.5).queries.tolist() == [0]
    assert len(found.filter(classes=[])) == 0
    with pytest.raises(CondetrError, match="class 'cel': the weights have no such class; did you mean 'cell'"):
        found.filter(classes=["cel"])
    with pytest.raises(CondetrError, match="the classes are cell, dust"):
        found.filter(classes="zebra")


def test_filter_takes_one_threshold_or_one_for_each_label():
    found = decoded()
    assert len(found.filter(min_score=0.5)) == 2
    assert found.filter(min_score=[0.0, 0.9, 0.5]).names == ["dust"]
    assert found.filter() == found


def test_the_best_of_each_query_drops_second_classes():
    found = decoded().best_of_each_query()
    assert found.queries.tolist() == [0, 1]
    assert found.names == ["cell", "dust"]


def test_coco_results_are_json_with_the_data_sets_ids():
    rows = json.loads(json.dumps(decoded().to_coco(image_id=7)))
    assert rows[0]["category_id"] == 5
    assert rows[0]["image_id"] == 7
    np.testing.assert_allclose(rows[0]["bbox"], [80, 30, 40, 40], rtol=1e-6)


def test_a_dict_is_json_with_the_keys_of_json_lines():
    values = json.loads(json.dumps(decoded().to_dict()))
    assert (values["file"], values["width"], values["height"]) == (None, 200, 100)
    assert set(values["detections"][0]) == {"category_id", "category", "score", "box"}
    assert values["detections"][1]["category"] == "dust"
    assert values["detections"][0]["box"] == pytest.approx([80, 30, 120, 70])


@pytest.mark.parametrize("count", [0, 3])
def test_a_dataframe_has_a_row_for_each_detection(count: int):
    pandas = pytest.importorskip("pandas")
    frame = decoded()[:count].to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == [
        "file",
        "width",
        "height",
        "category_id",
        "category",
        "score",
        "x1",
        "y1",
        "x2",
        "y2",
    ]
    assert frame["category"].tolist() == ["cell", "dust", "cell"][:count]
    assert pandas.concat([frame, decoded().to_dataframe()]).shape == (count + 3, 10)


@pytest.mark.parametrize("library", ["pandas", "supervision"])
def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch, library: str):
    monkeypatch.setitem(sys.modules, library, None)
    convert = {"pandas": Detections.to_dataframe, "supervision": Detections.to_supervision}[library]
    with pytest.raises(CondetrError, match=f"needs {library}: pip install") as error:
        convert(decoded())
    assert "\n" not in str(error.value)


def test_supervision_gets_boxes_scores_labels_and_names(monkeypatch: pytest.MonkeyPatch):
    fake = types.ModuleType("supervision")
    fake.Detections = dict
    monkeypatch.setitem(sys.modules, "supervision", fake)
    values = decoded().to_supervision()
    assert values["xyxy"].shape == (3, 4)
    assert values["class_id"].tolist() == [1, 2, 1]
    assert values["data"]["class_name"].tolist() == ["cell", "dust", "cell"]


def test_drawing_names_and_scores_every_detection(monkeypatch: pytest.MonkeyPatch):
    captions: list[str] = []
    monkeypatch.setattr(drawing, "draw_label", lambda canvas, area, caption, color, size: captions.append(caption))
    drawn = decoded().draw(IMAGE)
    assert isinstance(drawn, Image.Image)
    assert sorted(captions) == ["cell 0.27", "cell 0.88", "dust 0.73"]
    np.testing.assert_array_equal(np.asarray(drawn), draw(Image.fromarray(IMAGE), decoded()))


def test_a_small_image_is_enlarged_before_drawing_and_its_boxes_with_it():
    detections = decoded()[:1]
    x1, y1, x2, y2 = (round(side) for side in detections.boxes[0].tolist())
    drawn = draw(np.zeros_like(IMAGE), detections)
    assert drawn.shape == (200, 400, 3)
    colored = (drawn == color_of(int(detections.labels[0]))).all(-1)
    for side in (colored[y1 + y2, 2 * x1 : 2 * x1 + 3], colored[y1 + y2, 2 * x2 - 3 : 2 * x2]):
        assert side.any(), "a line at twice the coordinate"


def test_crops_are_the_pixels_inside_each_box():
    crops = decoded().crop(IMAGE)
    np.testing.assert_array_equal(crops[0], IMAGE[30:70, 80:120])
    np.testing.assert_array_equal(crops[1], IMAGE[50:100, :100])
    crops[0][:] = 0
    assert IMAGE[30:70, 80:120].any()


@pytest.mark.parametrize(
    "box", [(-5, -5, 3, 2), (199.4, 99.9, 230, 120), (300, 300, 310, 310), (-9, -9, -1, -1), (50, 50, 50, 50)]
)
def test_a_crop_stays_inside_and_has_at_least_one_pixel(box: tuple[float, ...]):
    one = Detections(
        np.array([box], np.float32), np.ones(1, np.float32), np.ones(1, int), np.zeros(1, int), CATEGORIES, (200, 100)
    )
    (crop,) = one.crop(IMAGE)
    assert min(crop.shape[:2]) >= 1


def overlapping(boxes: np.ndarray, labels: np.ndarray) -> Detections:
    count = len(boxes)
    scores = np.linspace(1, 0, count, dtype=np.float32)
    return Detections(boxes.astype(np.float32), scores, labels, np.arange(count), CATEGORIES, (200, 100))


def test_suppression_removes_worse_detections_of_the_class_above_an_iou():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 6], [0, 0, 10, 8], [50, 50, 50, 50], [50, 50, 50, 50]])
    found = overlapping(boxes, np.array([1, 1, 1, 2, 1, 1]))
    # the third overlaps the second with 0.75, but the second is removed by the first
    assert found.suppress(0.7).queries.tolist() == [0, 2, 3, 4, 5]
    assert found.suppress(0.5).queries.tolist() == [0, 3, 4, 5]
    assert found.suppress(0.8) == found, "not where the IoU is equal"
    assert found.suppress(1.0) == found
    assert len(found[[]].suppress(0.0)) == 0


@pytest.mark.parametrize("iou", [0.0, 0.4, 0.75])
def test_suppression_is_that_of_every_pair_in_turn(iou: float):
    random = np.random.default_rng(3)
    corner, side = random.uniform(0, 40, (80, 2)), random.uniform(5, 60, (80, 2))
    found = overlapping(np.concatenate([corner, corner + side], 1), random.integers(1, 3, 80))
    boxes = torch.tensor(found.boxes).double()
    overlap = iou_and_giou(boxes[:, None], boxes[None])[0]
    kept: list[int] = []
    for i in range(80):
        if not any(found.labels[i] == found.labels[j] and overlap[i, j] > iou for j in kept):
            kept.append(i)
    assert found.suppress(iou).queries.tolist() == kept
    assert 1 < len(kept) < 80
    assert found[:30].suppress(iou) == found.suppress(iou)[: len([i for i in kept if i < 30])]


@pytest.mark.parametrize("least", [0.0, 0.3, 0.7])
def test_boxes_are_compared_with_those_near_them_alone(least: float):
    """Of a large image in tiles there are tens of thousands."""
    random = np.random.default_rng(0)
    corner, side = random.uniform(0, 4000, (2000, 2)), random.uniform(5, 30, (2000, 2))
    side[:3] = 3000
    boxes = np.concatenate([corner, corner + side], 1)
    pairs = np.zeros((2000, 2000), bool)
    for one, others in enumerate(near(boxes, least)):
        pairs[one, others] = True
    assert not (~(pairs | pairs.T) & (box_arrays.iou(boxes[:, None], boxes) > least)).any()
    assert least == 0 or pairs.sum() < 40 * 2000


@pytest.mark.parametrize("iou", [-0.1, 1.5, float("nan"), 70.0])
def test_suppression_at_no_iou_is_refused(iou: float):
    with pytest.raises(CondetrError, match=r"iou: expected a number from 0 to 1"):
        overlapping(np.zeros((2, 4)), np.ones(2, int)).suppress(iou)


def test_another_image_is_refused_with_both_sizes():
    with pytest.raises(CondetrError, match="is 100 x 50 pixels, but these are detections of an image of 200 x 100"):
        decoded().draw(IMAGE[:50, :100])


def test_a_notebook_shows_an_escaped_table():
    named = Categories((1,), ("<b>cat</b>",))
    many = Detections(
        np.zeros((30, 4), np.float32), np.linspace(1, 0, 30), np.zeros(30, int), np.arange(30), named, (20, 10)
    )
    html = many._repr_html_()
    assert html.count("<tr>") == 21
    assert "&lt;b&gt;cat" in html
    assert "and 10 more" in html


def test_the_printed_form_is_one_short_line():
    assert repr(decoded()) == "<3 detections in an image (200 x 100): cell 0.88, dust 0.73, cell 0.27>"
