"""An explanation agrees with the detections it explains, with the maps, and with itself."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from condetr.boxes import generalized_iou
from condetr.checkpoint import Weights, save
from condetr.config import Config, Data
from condetr.errors import CondetrError, ImageError
from condetr.explaining.explain import explain
from condetr.explaining.explanation import Explanation
from condetr.explaining.extremities import REGIONS, coverage
from condetr.explaining.figures import figure
from condetr.explaining.head_roles import Measurement, attention_shares, average, object_shares
from condetr.explaining.page_image import image_values
from condetr.explaining.recording import record_image, record_scaled
from condetr.explaining.thresholds import no_detection
from condetr.predicting.batching import Scaled
from condetr.predicting.predictor import Predictor
from condetr.types import Categories, Sample, Truth
from tests.tiny import FORMS, TINY, TINY_DETR, TINY_REFINING, shaken

CATEGORIES = Categories((1, 2, 3, 7), ("cat", None, "dog", "bird"))
IMAGE = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
MODELS = {"conditional": TINY, "detr": TINY_DETR}


def predictor_of(model, nms=None) -> Predictor:
    config = Config(model=model, data=Data(size=64))
    return Predictor(Weights(shaken(model, len(CATEGORIES)), config, CATEGORIES, thresholds=None), nms=nms)


@pytest.fixture(scope="module", params=MODELS)
def predictor(request) -> Predictor:
    return predictor_of(MODELS[request.param])


def test_an_image_record_has_the_detections_of_the_predictor(predictor):
    (found,) = predictor([IMAGE], threshold=0.01)
    record = record_image(predictor, IMAGE, 0.01)
    assert len(found) > 0
    np.testing.assert_allclose(record.detections.boxes, found.boxes, atol=1e-4)
    np.testing.assert_array_equal(record.detections.labels, found.labels)
    np.testing.assert_allclose(record.boxes[-1][found.queries], found.boxes, atol=1e-4)
    assert not (record.labels == 1).any(), "an index without a class is never predicted"


@pytest.mark.parametrize("of_weights", [True, False])
def test_a_query_that_suppression_leaves_out_is_no_detection_and_explained_as_such(of_weights):
    """Whether the weights or the predictor suppress."""
    every = predictor_of(TINY)(IMAGE, threshold=0.01)
    predictor = predictor_of(TINY.model_copy(update={"nms": 0.3})) if of_weights else predictor_of(TINY, 0.3)
    (found,) = predictor([IMAGE], threshold=0.01)
    assert 0 < len(found) < len(every)
    record = record_image(predictor, IMAGE, 0.01)
    assert record.detections.queries.tolist() == found.queries.tolist()
    left_out = sorted(set(every.queries.tolist()) - set(found.queries.tolist()))
    assert left_out
    assert image_values("a", record, [], 0)["suppressed"] == left_out
    assert not record_image(predictor_of(TINY), IMAGE, 0.0).suppressed(), "none where a model keeps all"
    nearest = {one.query: one for one in record.nearest((5, 5), limit=TINY.queries)}
    assert sorted(query for query, one in nearest.items() if not one.detected) == left_out
    assert sorted(query for query, one in nearest.items() if one.suppressed) == left_out
    above = record_image(predictor, IMAGE, 1.0)
    nearest = {one.query: one for one in above.nearest((5, 5), limit=TINY.queries)}
    assert not any(one.detected for one in nearest.values())
    assert all(nearest[query].suppressed for query in left_out), "at any threshold"
    (kept,) = predictor([IMAGE], threshold=0.0)
    best = {query for query in kept.queries.tolist() if above.labels[-1, query] in kept.labels[kept.queries == query]}
    assert {query for query, one in nearest.items() if not one.suppressed} == best
    assert not any(one.suppressed for one in record_image(predictor_of(TINY), IMAGE, 1.0).nearest((5, 5)))
    query = left_out[0]
    one = Explanation.of(record, query, int(record.labels[-1, query]), -1)
    assert (one.detected, one.suppressed) == (False, True)
    detected = Explanation.of(record, int(found.queries[0]), int(found.labels[0]), -1)
    assert (detected.detected, detected.suppressed) == (True, False)
    words = " ".join(text.get_text() for text in figure(one).axes[0].texts)
    assert "not a detection: it overlaps a better one" in words


def test_a_query_beyond_the_best_predictions_is_not_said_to_be_below_a_threshold(predictor):
    scaled = Scaled(predictor.prepare.scale(IMAGE), (IMAGE.shape[1], IMAGE.shape[0]))
    record = record_scaled(predictor, scaled, 0.0, limit=2)
    beyond = sorted(set(range(TINY.queries)) - set(record.all_detections.queries.tolist()))
    values = image_values("a", record, [], 0)
    assert (values["beyond"], values["kept"]) == (beyond, 2)
    one = Explanation.of(record, beyond[0], int(record.labels[-1, beyond[0]]), -1)
    assert (one.detected, one.suppressed, one.beyond) == (False, False, True)
    words = " ".join(text.get_text() for text in figure(one).axes[0].texts)
    assert "not a detection: it is not among the best 100 predictions" in words
    assert not record_scaled(predictor, scaled, 1.0, limit=2).beyond(), "these are below the threshold"
    assert not record_scaled(predictor, scaled, 0.0, limit=None).beyond()


def test_an_explanation_is_of_the_selected_detection(predictor):
    (found,) = predictor([IMAGE], threshold=0.01)
    for k in (0, len(found) - 1):
        one = explain(predictor, IMAGE, detection=k, threshold=0.01)
        assert (one.query, one.label, one.name) == (found.queries[k], found.labels[k], found.names[k])
        assert one.score == pytest.approx(found.scores[k])
        np.testing.assert_allclose(one.box, found.boxes[k], atol=1e-4)
        np.testing.assert_allclose(one.layer_boxes[-1], one.box)
        assert len(one.layer_boxes) == len(one.layer_scores) == len(one.layer_labels) == TINY.decoder_layers
    assert explain(predictor, IMAGE, threshold=0.01).query == found.queries[0]


def test_maps_and_measurements_agree(predictor):
    one = explain(predictor, IMAGE, threshold=0.01, layer=1)
    parts, heads, rows, columns = one.maps.shape
    assert (one.layer, heads, rows, columns) == (1, TINY.heads, 4, 6)
    np.testing.assert_allclose(one.maps.sum((-2, -1)), np.ones((parts, heads)), atol=1e-5)
    box = torch.tensor(one.box / [90, 60, 90, 60], dtype=torch.float32)[None]
    np.testing.assert_allclose(one.inside, (one.maps * coverage(box, 4, 6).numpy()).sum((-2, -1)), atol=1e-5)
    row, column = np.unravel_index(one.maps[0, 2].argmax(), (4, 6))
    np.testing.assert_allclose(one.peaks[0, 2], [(column + 0.5) * 15, (row + 0.5) * 15], atol=1e-3)
    np.testing.assert_allclose(one.extremities[0], [one.box[0], (one.box[1] + one.box[3]) / 2], atol=1e-4)
    assert one.encoder.shape == (TINY.encoder_layers, TINY.heads, 4, 6)
    np.testing.assert_allclose(one.encoder.sum((-2, -1)), 1, atol=1e-5)


def test_layers_are_counted_from_both_ends(predictor):
    first, last = (explain(predictor, IMAGE, threshold=0.01, layer=layer) for layer in (2, -1))
    np.testing.assert_array_equal(first.maps, last.maps)
    assert first.layer == last.layer == 2


def test_the_nearest_queries_contain_the_point_and_come_by_descending_score(predictor):
    record = record_image(predictor, IMAGE, 0.3)
    candidates = record.nearest((45, 30), limit=7)
    assert sorted(c.query for c in candidates) == list(range(7))
    covering = [c for c in candidates if c.covers]
    assert candidates[: len(covering)] == tuple(covering)
    assert [c.score for c in covering] == sorted((c.score for c in covering), reverse=True)
    for c in candidates:
        assert c.covers == (c.box[0] <= 45 <= c.box[2] and c.box[1] <= 30 <= c.box[3])
        assert c.detected == (c.query in record.detections.queries)
        assert c.name in ("cat", "dog", "bird")


def test_the_class_of_a_detected_query_is_the_detected_one_with_its_score_and_threshold():
    record = record_image(predictor_of(TINY), IMAGE, 0.0)
    best = record.labels[-1]
    other = record.all_detections
    other = other[np.flatnonzero(other.labels != best[other.queries])[:1]]  # one detection, not of the best class
    (query,), (label,) = other.queries.tolist(), other.labels.tolist()
    thresholds = tuple(0.0 if one == label else 0.999 for one in range(len(CATEGORIES)))
    record = replace(record, detections=other, thresholds=thresholds)
    candidates = {c.query: c for c in record.nearest((45, 30), limit=7)}
    assert [c.query for c in candidates.values() if c.detected] == [query]
    found = candidates.pop(query)
    assert (found.label, found.name, found.threshold) == (label, CATEGORIES.name(label), 0.0)
    assert found.score == pytest.approx(record.score(query, label))
    assert found.score < record.scores[-1, query]
    assert all(c.label == best[c.query] and c.threshold == thresholds[c.label] for c in candidates.values())
    values = image_values("image", record, [(query, label)], 0)
    assert values["detected"] == {query: [label, pytest.approx(found.score, abs=6e-5)]}


def test_a_point_is_explained_by_its_nearest_query_detected_or_not(predictor):
    one = explain(predictor, IMAGE, at=(80, 55), threshold=0.999)
    assert one.query == one.nearest[0].query
    assert one.point == (80, 55)
    assert not one.nearest[0].detected
    corner = record_image(predictor, IMAGE, 0.5).encoder_maps(1, [(80, 55), (90, 60)])
    np.testing.assert_allclose(one.encoder[1], corner[0], atol=1e-6)
    np.testing.assert_allclose(corner[0], corner[1], atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_spatial_query_can_be_explained(form):
    model = TINY.model_copy(update={"decoder": TINY.decoder.model_copy(update={"spatial_query": form})})
    one = explain(predictor_of(model), IMAGE, threshold=0.0)
    assert one.parts == ("spatial", "content", "combined")


def test_a_detector_without_encoder_can_be_explained():
    one = explain(predictor_of(TINY.model_copy(update={"encoder_layers": 0})), IMAGE, threshold=0.0)
    assert len(one.encoder) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": 3}, "layer 3: this decoder has layers 0 to 2; -1 is the last"),
        ({"layer": -4}, "layer -4: this decoder has layers 0 to 2; -1 is the last"),
        ({"detection": 9999}, r"detection 9999: the image has \d+ detections, and the first is number 0"),
        ({"detection": -1}, "detection -1: must be at least 0"),
        ({"at": (91, 5)}, "at 91,5: outside the image, which is 90 x 60 pixels"),
        ({"at": (5, -1)}, "at 5,-1: outside the image, which is 90 x 60 pixels"),
        ({"at": (float("nan"), 1)}, "at nan,1: outside the image, which is 90 x 60 pixels"),
        ({"at": (5, 5), "detection": 0}, "explain: give `detection` or `at`, not both"),
        (
            {"threshold": 1.0},
            r"reaches the confidence threshold 1; the highest score is 0\.\d{3} \(\w+\)\. "
            r"Lower `threshold`, .*`at=\(X, Y\)`",
        ),
        ({"threshold": 2.0}, "threshold 2.0: must be a number between 0 and 1"),
    ],
)
def test_mistakes_are_reported_in_one_line(predictor, arguments, message):
    with pytest.raises(CondetrError, match=message):
        explain(predictor, IMAGE, **{"threshold": 0.01, **arguments})


def test_the_error_for_an_unreadable_image_gives_the_reason(predictor):
    with pytest.raises(ImageError, match="no such file"):
        explain(predictor, "nowhere.jpg")


def test_the_message_for_no_detection_names_the_best_prediction(predictor):
    record = record_image(predictor, IMAGE, 1.0)
    assert record.all_detections.names[0] in record.no_detection


@pytest.mark.parametrize(
    ("threshold", "start"),
    [
        (0.4, "no detection reaches the confidence threshold 0.4"),
        ("best", "no detection reaches the confidence threshold stored in"),
    ],
)
def test_the_best_score_never_seems_to_reach_the_threshold(predictor, threshold, start):
    record = record_image(predictor, IMAGE, 1.0)
    best = replace(record.all_detections, scores=np.full_like(record.all_detections.scores, 0.39996))
    sentence = no_detection(threshold, best)
    assert sentence.startswith(start)
    assert sentence.endswith(f"the highest score is 0.399 ({best.names[0]})")


def test_an_explanation_knows_whether_its_query_is_a_detection(predictor):
    detected = explain(predictor, IMAGE, threshold=0.01)
    missed = explain(predictor, IMAGE, at=(80, 55), threshold=0.999)
    assert (detected.detected, detected.point_given) == (True, False)
    assert (missed.detected, missed.point_given) == (False, True)


WRONG = """
from condetr.errors import CondetrError
from condetr import explain
from tests.explaining.test_explanation import MODELS, IMAGE, predictor_of
predictor = predictor_of(MODELS["conditional"])
for arguments in ({"at": (10,)}, {"at": 5}, {"at": ("a", 1)}, {"layer": 1.0}, {"detection": 0.0}, {"layer": "1"}):
    try:
        explain(predictor, IMAGE, **{"threshold": 0.01, **arguments})
    except CondetrError as error:
        print(error)
"""


def test_arguments_of_a_wrong_type_are_reported_in_one_line():
    """In a process of its own, without the shape checker of the tests."""
    run = subprocess.run([sys.executable, "-c", WRONG], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "at (10,)", "at 5", "at ('a', 1)", "layer", "detection", "layer"
    ]  # fmt: skip
    assert lines[0] == "at (10,): a point is two numbers, (x, y) in pixels of the image"


def test_without_a_threshold_the_detections_are_those_of_the_predictor():
    shared = Config(model=TINY, data=Data(size=64))
    for own in (None, (0.01, 0.01, 0.01, 0.01)):
        predictor = Predictor(Weights(shaken(TINY, len(CATEGORIES)), shared, CATEGORIES, thresholds=own))
        detections = predictor(IMAGE)
        assert (len(detections) > 0) == (own is not None)
        if own is None:
            with pytest.raises(CondetrError, match=r"no detection reaches the confidence threshold 0\.5"):
                explain(predictor, IMAGE)
        else:
            assert explain(predictor, IMAGE, detection=len(detections) - 1).query == detections.queries[-1]
            assert attention_shares(predictor, IMAGE).detections == len(detections)


def test_explain_takes_a_folder_of_weights_and_the_images_that_a_predictor_takes(tmp_path):
    weights = Weights(shaken(TINY, len(CATEGORIES)), Config(model=TINY, data=Data(size=64)), CATEGORIES, None)
    save(tmp_path / "weights", weights, card="")
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    given = [IMAGE, torch.tensor(IMAGE).permute(2, 0, 1), tmp_path / "a.png", (tmp_path / "a.png").read_bytes()]
    scores = [explain(tmp_path / "weights", image, threshold=0.0).score for image in given]
    assert scores == [scores[0]] * 4
    with pytest.raises(CondetrError, match="explain: takes one image"):
        explain(tmp_path / "weights", tmp_path)


def test_a_figure_is_written_where_it_is_asked_for(predictor, tmp_path):
    one = explain(predictor, IMAGE, threshold=0.0, figure=tmp_path / "new" / "one.png")
    with Image.open(tmp_path / "new" / "one.png") as drawn:
        assert drawn.width > 700
    assert one.query == explain(predictor, IMAGE, threshold=0.0).query


def test_an_unreadable_image_among_several_is_named(predictor, tmp_path):
    (tmp_path / "no.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"no\.png: "):
        attention_shares(predictor, [IMAGE, tmp_path / "no.png"], 0.01)
    with pytest.raises(ImageError, match="image 1: "):
        attention_shares(predictor, [IMAGE, b"no image"], 0.01)


def test_attention_shares_take_one_image_without_a_list(predictor, tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    alone, listed = (attention_shares(predictor, one, 0.01) for one in (IMAGE, [IMAGE]))
    assert alone.roles == listed.roles
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert attention_shares(predictor, path, 0.01).detections == alone.detections


def test_attention_shares_are_means_over_detections(predictor):
    measured = attention_shares(predictor, [IMAGE, IMAGE[:50]], threshold=0.01, layer=0)
    records = [record_image(predictor, image, 0.01) for image in (IMAGE, IMAGE[:50])]
    expected = [Explanation.of(s, int(q), 0, 0) for s in records for q in s.detections.queries.tolist()]
    assert measured.detections == len(expected) > 2
    np.testing.assert_allclose(measured.inside, np.mean([one.inside for one in expected], axis=0), atol=1e-6)
    assert measured.inside_uniform == pytest.approx(np.mean([one.inside_uniform for one in expected]))
    assert ((measured.agreement > 0) & (measured.agreement <= 1)).all()
    for part in range(len(measured.parts)):
        for head, role in enumerate(measured.roles[part]):
            regions = [REGIONS[one.peak_regions[part, head]] for one in expected]
            assert regions.count(role) == max(regions.count(name) for name in REGIONS)
    assert average([Measurement.of(one) for one in expected]).roles == measured.roles


def test_attention_shares_without_a_detection_are_an_error(predictor):
    with pytest.raises(CondetrError, match="no detection reaches the confidence threshold 1 in these images"):
        attention_shares(predictor, [IMAGE], threshold=1.0)


def test_object_shares_use_the_query_whose_box_fits_each_object_best(predictor, tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    record = record_image(predictor, tmp_path / "a.png", 1.0)
    chosen = [3, 1]
    boxes = np.concatenate([record.boxes[-1, chosen] + 0.01, [[0, 0, 5, 5]]]).astype(np.float32)
    crowd = np.array([False, False, True])
    truth = Truth(
        boxes=boxes, labels=np.zeros(3, np.int64), crowd=crowd, areas=np.ones(3), size=record.size, image_id=1
    )
    measured = object_shares(predictor, [Sample(tmp_path / "a.png", truth, 1)], layer=0)
    assert measured.detections == 2
    fits = generalized_iou(torch.tensor(boxes[:2, None]), torch.tensor(record.boxes[-1][None]))
    expected = [Explanation.of(record, int(query), 0, 0) for query in fits.argmax(-1)]
    np.testing.assert_allclose(measured.inside, np.mean([one.inside for one in expected], axis=0), atol=1e-6)
    unlabelled = Sample(tmp_path / "a.png", replace(truth, crowd=np.ones(3, bool)), 1)
    with pytest.raises(CondetrError, match="no object is labelled"):
        object_shares(predictor, [unlabelled])


def test_refined_boxes_and_finer_keys_are_explained_on_one_grid():
    """The reference point is that of the layer; the encoder's maps, on a coarser grid, are enlarged and sum to one."""
    predictor = predictor_of(TINY_REFINING)
    record = record_image(predictor, IMAGE, 0.01)
    first, last = (explain(predictor, IMAGE, threshold=0.01, layer=layer) for layer in (0, -1))
    assert first.maps.shape == (3, TINY.heads, 8, 12)
    assert first.encoder.shape == (TINY.encoder_layers, TINY.heads, 8, 12)
    np.testing.assert_allclose(first.encoder.sum((-2, -1)), 1, atol=1e-5)
    np.testing.assert_array_equal(first.encoder[..., ::2, ::2], first.encoder[..., 1::2, 1::2])
    np.testing.assert_allclose(last.reference, record.references[-1, last.query])
    moved = (first.layer_boxes[0, :2] + first.layer_boxes[0, 2:]) / 2
    np.testing.assert_allclose(record.references[1, first.query], moved, atol=1e-3)
    assert np.abs(first.reference - last.reference).max() > 0.01
