"""A server returns what the predictor returns, to every form of request; its errors are one line of JSON."""

import base64
import json
import struct
from collections.abc import Iterator

import numpy as np
import pytest

from condetr.predicting.predictor import Predictor
from condetr.predicting.tiling import Tiling
from condetr.serving.limits import Limits
from condetr.serving.metrics import Metrics
from condetr.serving.models import Model
from tests.serving.served import Client, model, multipart, picture, serving, tiny_weights

FIRST, SECOND = model("first"), model("second", seed=1)
IMAGES = [picture(i, shape) for i, shape in enumerate([(40, 60), (60, 40), (30, 90)])]
SMALL = Limits(bytes=1 << 20, pixels=20_000, images=3, queue=8, seconds=2.0)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with serving(FIRST, SECOND, limits=SMALL) as client:
        yield client


def expected(content: bytes, of=FIRST, **options) -> list:
    return of.predictor(content, **{"threshold": 0.0, **options}).to_dict()["detections"]


def test_one_image_gives_the_detections_of_the_predictor(client: Client):
    reply = client.predict(IMAGES[0])
    assert reply.status == 200
    assert reply.json["model"] == {"name": "first", "hash": FIRST.hash}
    assert reply.json["time"] > 0
    (image,) = reply.json["images"]
    assert (image["width"], image["height"], image["file"]) == (60, 40, None)
    assert image["detections"] == expected(IMAGES[0])
    assert {"category", "category_id", "score", "box"} == set(image["detections"][0])


def test_several_images_and_models(client: Client):
    body, kind = multipart(*((f"{i}.png", image) for i, image in enumerate(IMAGES)))
    reply = client("POST", "/predict?model=second&threshold=0", body, Content_Type=kind)
    assert [image["file"] for image in reply.json["images"]] == ["0.png", "1.png", "2.png"]
    for image, found in zip(IMAGES, reply.json["images"]):
        assert found["detections"] == expected(image, SECOND)


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", {"threshold": None}),
        ("?threshold=best", {"threshold": "best"}),
        ("?threshold=0.3&max_detections=2", {"threshold": 0.3, "max_detections": 2}),
        ("?threshold=0&classes=dog", {"classes": ["dog"]}),
        ("?threshold=0&classes=dog,cat&max_detections=3", {"classes": ["dog", "cat"], "max_detections": 3}),
        ("?threshold=0&classes=dog&classes=cat", {"classes": ["dog", "cat"]}),
    ],
)
def test_options_are_those_of_the_predictor(client: Client, query: str, options: dict):
    assert client.predict(IMAGES[1], query).json["images"][0]["detections"] == expected(IMAGES[1], **options)


def test_tiles_are_those_of_the_predictor_and_their_number_is_not_limited():
    tiled = Model("tiled", FIRST.hash, Predictor(tiny_weights(), tiling=Tiling(32)))
    with serving(tiled) as client:
        for query, options in (("?threshold=0", {}), ("?threshold=0&max_detections=5", {"max_detections": 5})):
            found = client.predict(IMAGES[2], query).json["images"][0]["detections"]
            assert found == expected(IMAGES[2], tiled, **options)
        assert expected(IMAGES[2], tiled) != expected(IMAGES[2])


def tensors(reply) -> dict:
    assert reply.status == 200, reply.content
    return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in reply.json["outputs"]}


def check_tensors(found: dict, detections: list[list]) -> None:
    assert found["counts"].tolist() == [len(one) for one in detections]
    for i, one in enumerate(detections):
        assert found["boxes"][i, : len(one)].tolist() == [d["box"] for d in one]
        assert found["scores"][i, : len(one)].tolist() == [d["score"] for d in one]
        assert found["names"][i, : len(one)].tolist() == [d["category"] for d in one]


def test_the_inference_protocol_takes_files_and_pixels_in_json_and_binary(client: Client):
    url = "/v2/models/first/infer"
    parameters = {"threshold": 0.3}
    wanted = [expected(image, threshold=0.3) for image in IMAGES[:2]]
    texts = [base64.b64encode(image).decode() for image in IMAGES[:2]]
    files = {"name": "files", "datatype": "BYTES", "shape": [2], "data": texts}
    record = {"id": "7", "parameters": parameters, "inputs": [files]}
    reply = client("POST", url, json.dumps(record))
    assert (reply.json["id"], reply.json["model_name"]) == ("7", "first")
    check_tensors(tensors(reply), wanted)

    binary = b"".join(struct.pack("<I", len(image)) + image for image in IMAGES[:2])
    described = {"name": "files", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(binary)}}
    head = json.dumps({"parameters": parameters, "inputs": [described]}).encode()
    reply = client("POST", url, head + binary, Inference_Header_Content_Length=str(len(head)))
    check_tensors(tensors(reply), wanted)

    pixels = np.random.default_rng(5).integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    wanted = [found.to_dict()["detections"] for found in FIRST.predictor(list(pixels), threshold=0.3)]
    given = {"name": "images", "datatype": "UINT8", "shape": [2, 20, 30, 3]}
    for data in (pixels.tolist(), pixels.reshape(-1).tolist()):
        reply = client("POST", url, json.dumps({"parameters": parameters, "inputs": [{**given, "data": data}]}))
        check_tensors(tensors(reply), wanted)
    outputs = [{"name": "counts"}]
    record = {"parameters": parameters, "inputs": [{**given, "data": pixels.tolist()}], "outputs": outputs}
    assert list(tensors(client("POST", url, json.dumps(record)))) == ["counts"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"{}", b'{"inputs": 1}', b'{"inputs": []}', b"[" * 100_000, b"\xff\xfe",
        b'{"inputs": [{"name": "images", "datatype": "FP32", "shape": [1, 2, 2, 3], "data": []}]}',
        b'{"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 2, 2, 3], "data": [1, 2]}]}',
        b'{"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 300]}]}',
        b'{"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, -1, 1, 3], "data": [1, 2, 3]}]}',
        b'{"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": {"a": 1}}]}',
        b'{"inputs": [{"name": "files", "datatype": "BYTES", "shape": [1], "data": ["!"]}]}',
        b'{"inputs": [{"name": "files", "datatype": "BYTES", "shape": [2], "data": ["aGk="]}]}',
        b'{"inputs": [{"name": "files", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 9}}]}',
        b'{"inputs": [{"name": "files", "datatype": "BYTES", "shape": [1], "data": ["aGk="]}], "parameters": 3}',
        b'{"inputs": [{"name": "files", "datatype": "BYTES", "shape": [1], "data": ["aGk="]}],'
        b' "parameters": {"threshold": NaN}}',
    ],
)  # fmt: skip
def test_invalid_inference_requests_are_refused(client: Client, body: bytes):
    reply = client("POST", "/v2/models/first/infer", body)
    assert reply.status == 400
    assert list(reply.json) == ["error"]


def test_metadata_health_and_description(client: Client):
    assert client("GET", "/v2/health/live").json == {"live": True}
    assert client("GET", "/v2/health/ready").json == {"ready": True}
    assert client("GET", "/v2/models/first/ready").json == {"name": "first", "ready": True}
    assert client("GET", "/v2/models/second").json["inputs"][0]["datatype"] == "UINT8"
    assert client("GET", "/v2").json["extensions"] == ["binary_tensor_data"]
    listed = client("GET", "/models").json["models"]
    assert [one["name"] for one in listed] == ["first", "second"]
    assert [one["category"] for one in listed[0]["classes"]] == ["cat", "dog"]
    assert listed[0]["classes"][1] == {"category_id": 4, "category": "dog", "threshold": 0.3, "color": "#217bf4"}
    assert {name: listed[0][name] for name in ("thresholds", "attention", "max_detections")} == {
        "thresholds": True, "attention": True, "max_detections": 10_000,
    }  # fmt: skip
    described = client("GET", "/openapi.json").json
    assert described["openapi"] == "3.1.0"
    for path, methods in described["paths"].items():
        for method in {"get", "post"} & set(methods):
            reply = client(method.upper(), path.replace("{name}", "first"))
            assert str(reply.status) in methods[method]["responses"], (path, reply)
            kinds = methods[method]["responses"][str(reply.status)]["content"]
            assert reply.headers["content-type"].partition(";")[0] in kinds


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/index", 404), ("GET", "/predict", 405), ("GET", "/explain", 405), ("POST", "/metrics", 405),
        ("GET", "/../etc/passwd", 404),
        ("POST", "/predict?model=third", 404), ("GET", "/v2/models/third", 404), ("POST", "/v2/models/x/infer", 404),
        ("POST", "/predict?threshold=2", 400), ("POST", "/predict?threshold=nan", 400),
        ("POST", "/predict?threshold=0_1", 400), ("POST", "/predict?threshold=%D9%A1", 400),
        ("POST", "/predict?classes=bird", 400), ("POST", "/predict?classes=", 400),
        ("POST", "/predict?max_detections=0", 400), ("POST", "/predict?max_detections=1e9", 400),
        ("POST", "/predict?threshold=0.1&threshold=0.2", 400), ("POST", "/predict?url=http://127.0.0.1/", 403),
        ("POST", "/predict?urls=x", 400), ("POST", "/v2/models/first/versions/1/infer", 404),
    ],
)  # fmt: skip
def test_wrong_requests_get_one_line_of_json(client: Client, method: str, path: str, status: int):
    reply = client(method, path, IMAGES[0] if method == "POST" else None)
    assert (reply.status, list(reply.json)) == (status, ["error"])
    assert "\n" not in reply.json["error"]
    assert "Traceback" not in reply.json["error"]


def test_metrics_count_requests_images_and_batches(client: Client):
    before = client.metric('condetr_images_total{model="first"}')
    client.predict(IMAGES[0])
    assert client.metric('condetr_images_total{model="first"}') == before + 1
    assert client.metric('condetr_requests_total{route="/predict",status="200"}') >= 1
    assert client.metric("condetr_queue_images") == 0
    assert client.metric("condetr_held_bytes") == 0
    text = client("GET", "/metrics").content.decode()
    assert 'condetr_batch_images_bucket{le="+Inf"}' in text


def test_counters_keep_all_digits():
    metrics = Metrics(lambda: 12_345_678, lambda: 0)
    metrics.batch("birds", 1_234_567, 0.125)
    lines = metrics.text().splitlines()
    assert 'condetr_images_total{model="birds"} 1234567' in lines
    assert "condetr_queue_images 12345678" in lines
    assert "condetr_batch_seconds_sum 0.125" in lines


def test_a_path_with_a_slash_at_its_end_is_not_redirected_to_another_host_or_scheme(client: Client):
    reply = client("POST", "/predict/", IMAGES[0], Host="elsewhere.example.org")
    assert (reply.status, list(reply.json)) == (404, ["error"])


def test_a_page_of_another_site_can_neither_read_nor_post():
    with serving(FIRST, hosts=frozenset({"detect.example.org"})) as client:
        for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "Detect.Example.org:443", "laptop", "laptop.local:1"):
            assert client("GET", "/models", Host=host).status == 200, host
        for host in ("evil.example.org", "evil.example.org:8000", "127.0.0.1.evil.org", "detect.example.org.evil.org"):
            reply = client("GET", "/models", Host=host)
            assert (reply.status, list(reply.json)) == (403, ["error"]), host
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            assert client.predict(IMAGES[0], Sec_Fetch_Site=site).status == status
        assert client("GET", "/", Sec_Fetch_Site="cross-site").status == 200  # a link to the page
    with serving(FIRST) as client:
        assert client("GET", "/models", Host="evil.example.org").status == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://localhost/models", 200), ("HTTP://detect.example.org:80/models?", 200), ("http://[::1]:1/models", 200),
        ("http://localhost", 200), ("http://evil.example.org/models", 403), ("http://localhost/none", 404),
        ("http:///models", 400), ("http://a@localhost/models", 400), ("http://localhost:x/models", 400),
        ("https://localhost/models", 400),
    ],
)  # fmt: skip
def test_the_host_of_a_target_in_absolute_form_replaces_that_of_the_header(target: str, status: int):
    """RFC 9112, section 3.2.2."""
    with serving(FIRST, hosts=frozenset({"detect.example.org"})) as client:
        for host in ("localhost", "evil.example.org"):
            head = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            assert client.raw(head.encode()).startswith(b"HTTP/1.1 %d " % status)


def test_an_image_can_be_posted_to_a_target_in_absolute_form_and_the_token_is_checked():
    with serving(FIRST, token="s3cret") as client:
        assert client.predict(IMAGES[0]).status == 401
        for authorization, status in (("Bearer wrong", 401), ("Bearer s3cret", 200)):
            reply = client("POST", "http://localhost/predict?threshold=0", IMAGES[0], Authorization=authorization)
            assert reply.status == status
        assert reply.json["images"][0]["detections"] == expected(IMAGES[0], FIRST, threshold=0.0)


def test_text_around_the_parts_of_a_form_is_ignored(client: Client):
    """Preamble and epilogue, RFC 2046, section 5.1.1."""
    body, kind = multipart(("a.png", IMAGES[0]), ("b.png", IMAGES[1]))
    wanted = client("POST", "/predict?threshold=0", body, Content_Type=kind)
    assert wanted.status == 200
    for before in (b"\r\n", b"For old clients: --b0undary\r\n", b"\n-\r\n--b0und\r\n"):
        given = client("POST", "/predict?threshold=0", before + body + b"\r\nAn end", Content_Type=kind)
        assert (given.status, given.json.get("images")) == (200, wanted.json["images"]), before


def test_a_token_is_needed_but_for_probes():
    with serving(FIRST, token="s3cret") as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}):
            reply = client.predict(IMAGES[0], **headers)
            assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert client("GET", "/openapi.json").status == 401
        assert client("GET", "/v2/health/ready").status == 200
        assert client.predict(IMAGES[0], Authorization="Bearer s3cret").status == 200
