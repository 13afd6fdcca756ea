"""User names and passwords in addresses reach the server that they are for, and nothing else."""

import io
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from condetr.errors import ImageError
from condetr.predicting.download import download, is_video
from condetr.predicting.sources import Found, find_one

EXPECTED = "Basic " + b64encode(b"me:s/e@cret").decode()


@pytest.fixture
def host() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """host:port of a server, and the requests it got: their paths and Authorization headers."""
    seen: list[tuple[str, str | None]] = []
    content = io.BytesIO()
    Image.new("RGB", (6, 4)).save(content, "PNG")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization")))
            if self.path.startswith("/moved"):
                self.send_response(302)
                self.send_header("Location", "/image")
            else:
                known = self.headers.get("Authorization") == EXPECTED or self.path == "/image"
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "video/mp4" if self.path == "/clip" else "image/png")
            self.end_headers()
            self.wfile.write(content.getvalue())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


def test_a_password_is_a_header_that_no_redirect_gets(host: tuple[str, list]) -> None:
    address, seen = host
    assert download(f"http://me:s%2Fe%40cret@{address}/private")[:4] == b"\x89PNG"
    assert download(f"http://me:s%2Fe%40cret@{address}/moved")[:4] == b"\x89PNG"
    assert seen == [("/private", EXPECTED), ("/moved", EXPECTED), ("/image", None)]


def test_no_message_and_no_name_has_the_password(host: tuple[str, list], tmp_path: Path) -> None:
    address, _ = host
    (found,) = find_one(f"http://me:wrong-secret@{address}/private?token=secret")
    assert isinstance(found, Found)
    assert found.name == f"http://***@{address}/private?token=***"
    with pytest.raises(ImageError, match=r"^HTTP error 401 Unauthorized$"):
        found.read()
    for broken in ("http://me:secret@host:port/a.jpg", "http://me:se[cret@host/a.jpg", "ftp://me:secret@host/a.jpg"):
        (one,) = find_one(broken)
        reason = one.reason if not isinstance(one, Found) else ""
        if isinstance(one, Found):
            with pytest.raises(ImageError) as caught:
                one.read()
            reason = str(caught.value)
        assert "secret" not in repr(one) + reason
        assert "se[cret" not in repr(one) + reason


def test_the_type_that_a_server_declares_tells_videos(host: tuple[str, list]) -> None:
    address, _ = host
    assert is_video(f"http://me:s%2Fe%40cret@{address}/clip")
    assert not is_video(f"http://me:s%2Fe%40cret@{address}/private")
    assert is_video(f"http://me:wrong@{address}/clip")  # the video library knows more ways to log in
    assert not is_video(f"http://{address}/clip")
    assert not is_video("http://127.0.0.1:9/clip")
