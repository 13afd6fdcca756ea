"""A run over many images decodes each once, and keeps nothing of those that are done."""

import gc
import io
import threading
import weakref
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from condetr.checkpoint import Weights, save
from condetr.cli.predict import predict
from condetr.config import Config, Data
from condetr.images import decode
from condetr.predicting import download, sources
from condetr.types import Categories
from tests.tiny import TINY, shaken

CONTENT = io.BytesIO()
Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(CONTENT, "PNG")
IMAGES, BATCH = 30, 2


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT.getvalue())))
        self.end_headers()
        self.wfile.write(CONTENT.getvalue())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def addresses() -> Iterator[list[str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield [f"http://127.0.0.1:{server.server_port}/{number}.png" for number in range(IMAGES)]
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("weights")
    save(folder, Weights(shaken(TINY, 1), Config(model=TINY, data=Data(size=48)), Categories((1,), ("a",)), None))
    return str(folder)


class Counted(bytes):
    """The content of a download, counted while it is alive."""

    alive = 0
    most = 0

    def __init__(self, content: bytes) -> None:
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)

    def __del__(self) -> None:
        Counted.alive -= 1


@pytest.mark.parametrize("format", ["images", "jsonl"])
def test_memory_does_not_grow_with_the_number_of_downloaded_images(
    addresses: list[str], weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    fetched, decoded, alive = [], [], []
    fetch, open_image = download.download, sources.open_image

    def counted_download(address: str) -> bytes:
        fetched.append(address)
        return Counted(fetch(address))

    def counted_open(source: Any) -> decode.Pixels:
        pixels = open_image(source)
        decoded.append(weakref.ref(pixels))
        alive.append(sum(one() is not None for one in decoded))
        return pixels

    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(download, "download", counted_download)
    monkeypatch.setattr(sources, "open_image", counted_open)
    Counted.alive = Counted.most = 0
    with pytest.raises(typer.Exit) as ended:
        predict(
            addresses, weights=weights, out=tmp_path / "out", format=format, batch=BATCH, device="cpu", threshold="0"
        )
    assert ended.value.exit_code == 0
    del ended  # its traceback holds the last image
    gc.collect()
    assert sorted(fetched) == sorted(addresses)  # each downloaded once
    assert len(decoded) == IMAGES  # and decoded once
    assert max(alive) <= 5 * BATCH + 4  # the images in flight and those that the reading threads hold
    assert Counted.most <= 5 * BATCH + 4
    assert Counted.alive == 0
    assert sum(one() is not None for one in decoded) == 0
    if format == "images":
        assert len(list((tmp_path / "out" / "images").iterdir())) == IMAGES
