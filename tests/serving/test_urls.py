"""Images that a request names by address are fetched from the hosts that were allowed, and from no others."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest

from condetr.errors import CondetrError
from condetr.serving.limits import Limits
from condetr.serving.remote import parse_host
from tests.serving.served import Client, Reply, model, picture, serving

TINY = model()
IMAGES = {"/a.png": picture(0), "/b.png": picture(1)}
DETECTIONS = {path: TINY.predictor(content, threshold=0.0).to_dict()["detections"] for path, content in IMAGES.items()}


class Files(BaseHTTPRequestHandler):
    """`/to/ADDRESS` redirects there, `/slow` never ends, `/large` is larger than the limit, `/gzip` is compressed."""

    seen: list[str]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.seen.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path == "/slow":
            for byte in b"HTTP/1.1 200 OK\r\n" + b"X: " + 1000 * b"a":  # within a header
                try:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                except OSError:
                    return
                time.sleep(0.05)
        else:
            content = IMAGES.get(self.path, b"\0" * ((1 << 18) + 1))
            self.send_response(200 if self.path in (*IMAGES, "/large", "/gzip") else 404)
            self.send_header("Content-Type", "image/png")
            if self.path == "/gzip":
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(content)


@pytest.fixture(scope="module")
def files() -> Iterator[tuple[int, list[str]]]:
    """The port of a server of files, and the paths that were requested."""
    seen: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Files,), {"seen": seen}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, seen
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def client(files: tuple[int, list[str]]) -> Iterator[Client]:
    limits = Limits(
        bytes=1 << 18, pixels=20_000, images=2, queue=8, seconds=5.0, allow_urls_from=(f"127.0.0.1:{files[0]}",)
    )
    with serving(TINY, limits=limits) as client:
        yield client
        assert client.metric("condetr_held_bytes") == 0
        assert client.metric("condetr_queue_images") == 0


def ask(client: Client, *addresses: str, body: bytes = b"", path: str = "/predict?threshold=0") -> Reply:
    return client("POST", path + "".join(f"&url={quote(address, safe='')}" for address in addresses), body)


def test_images_at_allowed_addresses_are_predicted(client: Client, files: tuple[int, list[str]]):
    base = f"http://127.0.0.1:{files[0]}"
    found = ask(client, f"{base}/b.png", f"{base}/to//a.png").json["images"]
    assert [one["detections"] for one in found] == [DETECTIONS["/b.png"], DETECTIONS["/a.png"]]
    assert found[0]["file"] == f"{base}/b.png"
    explained = ask(client, f"{base}/a.png", path="/explain?query=0")
    assert (explained.status, explained.json["width"]) == (200, 60)
    query = client("GET", "/openapi.json").json["paths"]["/predict"]["post"]["parameters"]
    assert "url" in [one["name"] for one in query]


def test_all_else_is_refused_and_nothing_is_sent_there(client: Client, files: tuple[int, list[str]]):
    port, seen = files
    base = f"http://127.0.0.1:{port}"
    with socket.create_server(("127.0.0.1", 0)) as other:  # nobody may connect to it
        other.setblocking(False)
        private = f"127.0.0.1:{other.getsockname()[1]}"
        before = len(seen)
        for address, status, reason in (
            (f"http://{private}/a.png", 403, f"url: {private} is not among the hosts of `condetr serve --allow"),
            ("http://127.0.0.1/a.png", 403, "127.0.0.1:80 is not among"),
            (f"http://localhost:{port}/a.png", 403, "is not among"),
            (f"http://127.1:{port}/a.png", 403, "is not among"),
            (f"http://me@127.0.0.1:{port}/a.png", 403, "without user name"),
            (f"http://127.0.0.1:{port}@{private}/", 403, "without user name"),
            (f"ftp://127.0.0.1:{port}/a.png", 403, "only http and https"), ("file:///etc/passwd", 403, "only http"),
            ("/etc/passwd", 403, "only http"), ("http://a:b/", 400, "not a valid URL"), ("", 403, "only http"),
            (f"http://127.0.0.1:{port}\\@{private}/", 403, ""),
        ):  # fmt: skip
            reply = ask(client, address)
            assert (reply.status, list(reply.json)) == (status, ["error"]), (address, reply)
            assert reason in reply.json["error"]
        assert ask(client, f"{base}/a.png", body=b"x").json["error"] == "url: leave the body of the request empty"
        assert ask(client, *[f"{base}/a.png"] * 3).status == 413
        assert len(seen) == before
        for path, status, reason in (
            (f"/to/http://{private}/a.png", 403, "is not among"), ("/to/file:///etc/passwd", 403, "only http"),
            ("/to//to//to//to//a.png", 502, "more than 3 redirects"), ("/none", 502, "HTTP status 404"),
            ("/large", 413, "larger than 0.25 megabytes"), ("/gzip", 502, "compressed"), ("/slow", 504, "within 5 s"),
        ):  # fmt: skip
            reply = ask(client, base + path)
            assert (reply.status, list(reply.json)) == (status, ["error"]), (path, reply)
            assert reason in reply.json["error"]
        with pytest.raises(BlockingIOError):
            other.accept()


def test_without_the_flag_an_address_is_refused_with_its_name():
    with serving(TINY) as client:
        reply = ask(client, "http://127.0.0.1/a.png")
        assert (reply.status, "--allow-urls-from HOST" in reply.json["error"]) == (403, True)
        query = client("GET", "/openapi.json").json["paths"]["/predict"]["post"]["parameters"]
        assert "url" not in [one["name"] for one in query]


@pytest.mark.parametrize(
    ("word", "host"),
    [("Images.Example.org", ("images.example.org", None)), ("10.0.0.5:8080", ("10.0.0.5", 8080)),
     ("a:80", ("a", 80)), ("[::1]:9", ("::1", 9)), ("bücher.de", ("xn--bcher-kva.de", None))],
)  # fmt: skip
def test_a_host_is_a_name_with_or_without_port(word: str, host: tuple):
    assert parse_host(word) == host


@pytest.mark.parametrize("word", ["", "http://a/", "a/b", "a b", "me@a", "*", "*.a", "a:0", "a:99999", ":80"])
def test_what_is_not_a_host_is_refused(word: str):
    with pytest.raises(CondetrError, match=r"`allow_urls_from=.*not the name of a host"):
        parse_host(word)
