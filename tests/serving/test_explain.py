"""`POST /explain` returns what `condetr explain` computes, within the limits and the queue of predictions."""

import base64
import io
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from condetr.explaining.explain import explain
from condetr.predicting.predictor import Predictor
from condetr.predicting.tiling import Tiling
from condetr.serving.limits import Limits
from condetr.serving.models import Model
from tests.serving.served import Client, Held, exported_model, model, multipart, picture, serving, tiny_weights

TINY = model()
IMAGE = picture(3, (60, 90))


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with serving(TINY, limits=Limits(bytes=1 << 16, pixels=20_000, seconds=5.0)) as client:
        yield client


def maps_of(reply: dict) -> np.ndarray:
    attention = reply["attention"]
    shape = [
        len(attention[name]) if name == "parts" else attention[name]
        for name in ("layers", "parts", "heads", "rows", "columns")
    ]
    return np.frombuffer(zlib.decompress(base64.b64decode(attention["maps"])), np.uint8).reshape(shape)


def test_a_detection_has_the_maps_of_explain_in_every_layer(client: Client):
    detections = client.predict(IMAGE).json["images"][0]["detections"]
    for number in (0, 3):
        reply = client("POST", f"/explain?threshold=0&detection={number}", IMAGE).json
        assert {name: reply[name] for name in detections[0]} == detections[number]
        assert (reply["width"], reply["height"], reply["detected"], reply["nearest"]) == (90, 60, True, [])
        maps, attention = maps_of(reply), reply["attention"]
        assert attention["parts"] == ["spatial", "content", "combined"]
        for layer in range(3):
            one = explain(TINY.predictor, IMAGE, detection=number, layer=layer, threshold=0.0)
            assert reply["query"] == one.query
            peaks = one.maps.max((-2, -1), keepdims=True)
            assert np.abs(maps[layer] - one.maps / peaks * 255).max() <= 0.51
            assert np.allclose(attention["peaks"][layer], peaks[..., 0, 0] * maps[0, 0, 0].size, atol=1e-3)
            assert np.allclose(attention["inside"][layer], one.inside, atol=0.0051)
            assert np.allclose(reply["predictions"][layer]["box"], one.layer_boxes[layer], atol=1e-3)


def test_explanations_are_equal_while_others_are_predicted_and_explained():
    questions = [("/explain?threshold=0&detection=0", picture(i, (60, 90 - i))) for i in range(4)] * 2
    questions += [("/predict?threshold=0", picture(i)) for i in range(8)]
    with serving(TINY) as client:
        alone = [client("POST", *question).json for question in questions]
    with serving(TINY, parallel=4) as client, ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda question: client("POST", *question).json, questions))
    for one, other in zip(alone, together, strict=True):
        assert one.pop("time", 0) is not None
        other.pop("time", None)
        assert one == other


def test_a_point_has_the_queries_near_it_and_a_query_can_be_chosen(client: Client):
    reply = client("POST", "/explain?threshold=0.9&at=12.5,40", IMAGE).json
    one = explain(TINY.predictor, IMAGE, at=(12.5, 40.0), threshold=0.9)
    assert [near["query"] for near in reply["nearest"]] == [near.query for near in one.nearest]
    assert [near["covers"] for near in reply["nearest"]] == [near.covers for near in one.nearest]
    assert (reply["query"], reply["detected"], reply["threshold"]) == (one.query, False, 0.9)
    second = reply["nearest"][1]
    chosen = client("POST", f"/explain?threshold=0.9&query={second['query']}", IMAGE).json
    assert {name: chosen[name] for name in second if name != "covers"} == {
        k: v for k, v in second.items() if k != "covers"
    }


def test_what_cannot_be_explained_is_refused_in_one_line(client: Client):
    body, kind = multipart(("a.png", IMAGE))
    two, _ = multipart(("a.png", IMAGE), ("b.png", IMAGE))
    assert client("POST", "/explain?threshold=0", body, Content_Type=kind).status == 200
    for query, content, headers, status, words in [
        ("?detection=999", IMAGE, {}, 400, "detection 999: the image has"),
        ("?detection=-1", IMAGE, {}, 400, "whole number"),
        ("?detection=0&threshold=1", IMAGE, {}, 400, "detection 0: the image has no detection"),
        ("?query=7", IMAGE, {}, 400, "query 7: the detector has 7"),
        ("?at=1,2&query=1", IMAGE, {}, 400, "one of"), ("?at=1", IMAGE, {}, 400, "X,Y"),
        ("?at=91,3", IMAGE, {}, 400, "outside the image"), ("?at=nan,1", IMAGE, {}, 400, "outside the image"),
        ("?classes=dog", IMAGE, {}, 400, "unknown parameter"), ("?threshold=x", IMAGE, {}, 400, "threshold"),
        ("?model=third", IMAGE, {}, 404, "no such model"), ("", b"", {}, 400, "no image"),
        ("", b"GIF89a", {}, 422, "image 1"), ("", IMAGE[:200], {}, 422, "image 1"),
        ("", picture(0, (200, 200)), {}, 413, ""), ("", b"\0" * (1 << 17), {}, 413, "larger"),
        ("", two, {"Content_Type": kind}, 413, "more than 1"),
        ("", IMAGE, {"Content_Type": "text/html"}, 415, "text/html"),
    ]:  # fmt: skip
        reply = client("POST", f"/explain{query}", content, **headers)
        assert (reply.status, list(reply.json)) == (status, ["error"]), (query, reply)
        assert words in reply.json["error"]
        assert "\n" not in reply.json["error"]
    assert client.metric("condetr_held_bytes") == client.metric("condetr_queue_images") == 0
    assert client.metric('condetr_explanations_total{model="tiny"}') >= 1


def test_a_detection_of_a_tile_has_the_maps_of_that_tile():
    pixels = np.asarray(Image.open(io.BytesIO(IMAGE)))
    in_tiles = Predictor(tiny_weights(), tiling=Tiling(40))
    regions = set()
    with serving(Model("tiles", "0" * 64, in_tiles)) as client:
        detections = client.predict(IMAGE).json["images"][0]["detections"]
        for number in range(0, len(detections), max(1, len(detections) // 8)):
            reply = client("POST", f"/explain?threshold=0&detection={number}", IMAGE).json
            assert {name: reply[name] for name in detections[0]} == detections[number]
            assert (reply["width"], reply["height"]) == (90, 60)
            left, top, right, bottom = region = tuple(reply["attention"]["region"])
            regions.add(region)
            part = pixels[top:bottom, left:right]
            in_part = TINY.predictor(part, 0.0).queries.tolist().index(reply["query"])
            one = explain(TINY.predictor, part, detection=in_part, threshold=0.0)
            scaled = one.maps / one.maps.max((-2, -1), keepdims=True) * 255
            assert np.abs(maps_of(reply)[-1] - scaled).max() <= 0.51
            corner = np.array([left, top, left, top])
            assert np.allclose(reply["predictions"][-1]["box"], one.layer_boxes[-1] + corner, atol=1e-3)
        assert client("POST", "/explain?at=4,5", IMAGE).json["attention"]["region"] == [0, 0, 90, 60]
    assert len(regions - {(0, 0, 90, 60)}) > 1


def test_explanations_wait_in_the_queue_of_predictions():
    held = Held.of(TINY)
    with serving(held, limits=Limits(queue=2)) as client, ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.predict, IMAGE)
        assert held.entered.wait(10)
        second = pool.submit(client, "POST", "/explain?threshold=0", IMAGE)
        for _ in range(500):
            if client.metric("condetr_queue_images") == 2:
                break
            threading.Event().wait(0.02)
        assert client("POST", "/explain", IMAGE).status == 429
        assert not second.done()
        held.go.set()
        assert (first.result().status, second.result().status) == (200, 200)


def test_an_exported_file_has_detections_only():
    with serving(exported_model()) as client:
        (listed,) = client("GET", "/models").json["models"]
        assert (listed["attention"], listed["max_detections"]) == (False, 3)
        reply = client("POST", "/explain", IMAGE)
        assert (reply.status, reply.json["error"]) == (
            400, "fixed: an exported file returns detections only, no attention maps",
        )  # fmt: skip
