"""Requests that are too large, too slow, broken or hostile are refused with one line, and the next one is served."""

import io
import json
import re
import socket
import struct
import time
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from condetr.serving import connection, inference_protocol
from condetr.serving.incoming import Decoder, Incoming
from condetr.serving.limits import Limits, Refused
from tests.serving.hostile import bomb
from tests.serving.served import Client, model, multipart, picture, serving

TINY = model()
IMAGE = picture(0)
LIMITS = Limits(bytes=1 << 18, pixels=20_000, images=3, queue=8, seconds=1.0)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with serving(TINY, limits=LIMITS) as client:
        yield client


@pytest.fixture(autouse=True)
def _serves_on(client: Client):
    yield
    reply = client.predict(IMAGE)
    assert reply.json["images"][0]["detections"] == TINY.predictor(IMAGE, threshold=0.0).to_dict()["detections"]
    assert client.metric("condetr_held_bytes") == 0
    assert client.metric("condetr_queue_images") == 0


def many_scans() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    at = content.rindex(b"\xff\xda")
    return content[:at] + content[at:-2] * 100 + content[-2:]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400), (b"hello", 422), (IMAGE[: len(IMAGE) // 2], 422), (IMAGE[:20], 422), (b"\0" * (1 << 18), 422),
        (b"<svg onload=x>", 422), (b"PK\3\4", 422), (bomb(), 422), (bomb(200), 413), (bomb(100), 422),
        (many_scans(), 422), (b"\0" * ((1 << 18) + 1), 413), (b"http://127.0.0.1:1/image.png", 422),
        (b"/etc/passwd", 422),
    ],
)  # fmt: skip
def test_broken_images_and_bombs_are_refused(client: Client, content: bytes, status: int):
    reply = client.predict(content)
    assert reply.status == status, reply.content
    assert list(reply.json) == ["error"]
    assert not re.search(r"0x[0-9a-f]+|Traceback|site-packages|\n", reply.json["error"])


BODY, KIND = multipart(("a.png", IMAGE))


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (BODY[:-20], KIND, 400), (BODY, "multipart/form-data", 400), (BODY, "multipart/form-data; boundary=other", 400),
        (BODY, f"multipart/form-data; boundary={'x' * 300}", 400), (b"garbage", KIND, 400),
        (multipart(*[("a.png", IMAGE)] * 4)[0], KIND, 413), (multipart(("a.png", b"")) [0], KIND, 422),
        (multipart(("a\x1b[31m.png", b"x"))[0], KIND, 422), (multipart()[0], KIND, 400),
        (BODY.replace(b'; filename="a.png"', b""), KIND, 400), (IMAGE, "application/json", 415),
        (b"--b0undary\r\n" + b"A: b\r\n" * 10_000, KIND, 400),
    ],
)  # fmt: skip
def test_broken_forms_are_refused(client: Client, body: bytes, kind: str, status: int):
    reply = client("POST", "/predict", body, Content_Type=kind)
    assert (reply.status, list(reply.json)) == (status, ["error"])
    assert reply.json["error"].isprintable()


def test_a_broken_form_writes_nothing_into_the_log(client: Client, caplog):
    body = BODY.replace(b"form-data; name", b"form-data\r; name")
    assert client("POST", "/predict", body, Content_Type=KIND).status == 400
    assert not caplog.records


def test_one_unreadable_image_refuses_the_request_and_is_named(client: Client):
    body, kind = multipart(("a.png", IMAGE), ("b.png", IMAGE[:100]))
    reply = client("POST", "/predict", body, Content_Type=kind)
    assert reply.status == 422
    assert reply.json["error"].startswith("image 2 (b.png): ")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"4"), (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000, b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", b"431"), (b"\x16\x03\x01\x02\0\x01", b"4"),
        (b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n", b"415"),
        (b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nConnection: close\r\n\r\nab", b"408"),
    ],
)  # fmt: skip
def test_broken_or_slow_http_gets_its_status_and_the_connection_ends(client: Client, request_, status, monkeypatch):
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.5)
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.5)
    received = client.raw(request_)
    assert received.startswith(b"HTTP/1.1 " + status), received
    assert b'{"error":' in received


def test_a_header_within_the_limit_is_read_in_one_connection_with_a_body_and_another_request(client: Client):
    head = b"POST /predict?threshold=0 HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 14_000 + b"\r\n"
    request = head + f"Content-Length: {len(IMAGE)}\r\n\r\n".encode() + IMAGE
    last = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert client.raw(2 * request + last).count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize("more", ["Connection: close", "Connection: keep-alive"])
def test_a_client_that_sends_too_much_sees_why_it_is_refused(client: Client, more: str):
    """Its body, of more than the buffers of both systems hold, is read and discarded until it sees the response."""
    head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: {1 << 25}\r\n{more}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", client.port), 30) as sending:
        sending.sendall(head)
        time.sleep(0.2)
        sending.sendall(bytes(1 << 25))
        assert sending.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("more", ["Connection: close", "Connection: keep-alive"])
@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("excess", [2, 30_000, 1 << 25])
def test_bytes_after_the_announced_body_do_not_hide_its_response(client: Client, excess: int, pieces: int, more: str):
    request = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n{more}\r\n\r\n".encode() + bytes(10)
    with socket.create_connection(("127.0.0.1", client.port), 30) as sending:
        try:
            for part in [request + bytes(excess)] if pieces == 1 else [request + bytes(1), bytes(excess - 1)]:
                sending.sendall(part)
        except OSError:  # the server has stopped reading; its response has arrived
            pass
        assert sending.recv(100).startswith(b"HTTP/1.1 422")


def test_a_slow_header_ends_the_connection_in_time(client: Client, monkeypatch):
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.4)
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", client.port), 30) as slow:
        for byte in b"GET /v2 HTTP/1.1\r\nHost: a\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaa":
            try:
                slow.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.02)
        assert slow.recv(100).startswith(b"HTTP/1.1 408")
    assert time.monotonic() - started < 5


def test_a_broken_chunk_ends_the_connection():
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(TINY, limits=Limits(seconds=30.0)) as patient:
        started = time.monotonic()
        assert patient.raw(head + b"3\r\nabc\r\nnonsense\r\n") == b""
        assert time.monotonic() - started < connection.LINGER_SECONDS - 1


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8" + b"\xff\xe0\0\2" * 300_000, b"\xff\xd8" + b"\xff" * 300_000, IMAGE[:33]
        + struct.pack(">I4sI", 0, b"tEXt", zlib.crc32(b"tEXt")) * 100_000, b"P6\n" + b"#a\n" * 200_000,
        b"GIF89a\x10\0\x10\0\0\0\0" + b"\x21\xfe\1a\0" * 100_000, b"P6\n1500 1000\n100\n" + bytes(4_500_000),
        b"P3\n1 1\n255\n" + b"1 " * 2_500_000,
    ],
    ids=["JPEG markers", "JPEG fill bytes", "PNG chunks", "PNM comments", "GIF blocks", "PNM levels", "PNM text"],
)  # fmt: skip
def test_files_that_cost_far_more_than_their_size_are_refused_at_once(content: bytes):
    """Each of them kept a thread busy for half a minute at 30 MB; JPEG markers took a gigabyte, too."""
    started = time.process_time()
    with pytest.raises(Refused) as refused:
        Decoder(Limits())(Incoming(content), 1, TINY.predictor.scale)
    assert refused.value.status == 422
    assert "too many parts" in refused.value.reason or "too long to decode" in refused.value.reason
    assert time.process_time() - started < 3


def test_an_inference_request_is_not_split_into_more_files_than_its_shape_has():
    binary = bytes(4 * 3_000_000)
    head = {"name": "files", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(binary)}}
    text = json.dumps({"inputs": [head]}).encode()
    started = time.process_time()
    with pytest.raises(Refused, match="more files, but shape has 2"):
        inference_protocol.parse(text + binary, str(len(text)), Limits())
    assert time.process_time() - started < 1


def test_two_requests_on_one_connection_are_answered_in_order(client: Client):
    one = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    received = client.raw(one + one.replace(b"live", b"ready").replace(b"Host", b"Connection: close\r\nHost"))
    assert received.index(b'"live"') < received.index(b'"ready"')


@pytest.mark.parametrize("length", ["0", "3", "-1", "2.0", "a", f"{'0' * 19}2{'9' * 5000}"])
def test_a_wrong_length_of_the_json_of_a_request_is_refused(length):
    """The last one has more digits than Python reads."""
    with pytest.raises(Refused, match="must be the length of the JSON in the body"):
        inference_protocol.parse(b"{}", length, LIMITS)
