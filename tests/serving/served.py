"""A server in a thread on a free port, with a small model, and plain HTTP requests to it."""

import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from condetr.checkpoint import Weights
from condetr.config import Config, Data
from condetr.detections import Detections
from condetr.predicting.batching import Scaled
from condetr.predicting.exported import Exported, hash_of
from condetr.predicting.predictor import Predictor
from condetr.runtime.file_runtime import FileRuntime
from condetr.serving.limits import Limits
from condetr.serving.models import Model
from condetr.serving.serve import bound, server
from condetr.types import Categories
from tests.tiny import TINY, shaken

CATEGORIES = Categories((1, 3, 4), ("cat", None, "dog"))


def tiny_weights(seed: int = 0) -> Weights:
    return Weights(shaken(TINY, 3, seed), Config(model=TINY, data=Data(size=64)), CATEGORIES, (0.2, 0.5, 0.3))


def spread_weights(names: tuple[str | None, ...] = CATEGORIES.names) -> Weights:
    """As `tiny_weights`, with scores of the image `picture(3, (60, 90))` between 0.2 and 0.8 instead of near 0.01."""
    weights = replace(tiny_weights(), categories=Categories(CATEGORIES.ids, names))
    found, classes = Predictor(weights)(picture(3, (60, 90)), 0.0), weights.detector.heads.classes
    with torch.no_grad():
        for label in found.categories.real:
            logits = np.log(found.scores / (1 - found.scores))[found.labels == label]
            factor = 3.0 / float(logits.max() - logits.min())
            classes.weight[label] *= factor
            classes.bias[label] = factor * (classes.bias[label] - float(logits.mean()))
    return weights


def model(name: str = "tiny", seed: int = 0) -> Model:
    weights = tiny_weights(seed)
    return Model(name, hash_of(weights), Predictor(weights))


class FixedRuntime(FileRuntime):
    """Stands for an exported file: the same detections in every image."""

    file = Path("fixed.onnx")
    most = 3  # type: ignore[assignment]

    def infer(self, images: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.execute(images, sizes)

    def execute(self, images: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        boxes = [[0.1, 0.1, 0.4, 0.5], [0.5, 0.2, 0.9, 0.8], [0.2, 0.6, 0.3, 0.9]]
        return np.array([boxes], np.float32), np.array([[0.9, 0.6, 0.2]], np.float32), np.array([[0, 2, 0]])


def exported_model(names: tuple[str | None, ...] = CATEGORIES.names) -> Model:
    file = Exported(FixedRuntime(), tiny_weights().config, Categories(CATEGORIES.ids, names), None)
    return Model("fixed", "0" * 64, Predictor(file))


@dataclass(frozen=True, slots=True, eq=False)
class Held(Model):
    """A model that starts no batch before `go` is set; `seen` are the sizes of its batches."""

    go: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    seen: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, other: Model) -> "Held":
        return cls(other.name, other.hash, other.predictor)

    def detect(self, limit: int | None, scaled: list[Scaled]) -> list[Detections]:
        self.seen.append(len(scaled))
        self.entered.set()
        assert self.go.wait(30)
        return Model.detect(self, limit, scaled)


def picture(seed: int, shape: tuple[int, int] = (40, 60)) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True, slots=True)
class Client:
    port: int

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def predict(self, content: bytes, query: str = "?threshold=0", **headers: str) -> Reply:
        return self("POST", f"/predict{query}", content, **headers)

    def raw(self, content: bytes) -> bytes:
        """What the server sends until it closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
            connection.sendall(content)
            received = b""
            while part := connection.recv(65536):
                received += part
            return received

    def metric(self, line: str) -> float:
        """The value of the line that starts so, 0 without one."""
        text = self("GET", "/metrics").content.decode()
        return next((float(one.rpartition(" ")[2]) for one in text.splitlines() if one.startswith(line)), 0.0)


def multipart(*files: tuple[str, bytes], boundary: str = "b0undary") -> tuple[bytes, str]:
    """Body and content type."""
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'.encode()
        + b"Content-Type: image/png\r\n\r\n" + content + b"\r\n"
        for name, content in files
    )  # fmt: skip
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


@contextmanager
def serving(
    *models: Model, limits: Limits | None = None, max_batch: int = 4, max_wait: float = 0.0, token: str | None = None,
    page: bool = True, hosts: frozenset[str] | None = None, parallel: int = 1,
) -> Iterator[Client]:  # fmt: skip
    ready = threading.Event()
    listener = bound("127.0.0.1", 0)
    port = listener.getsockname()[1]
    running = server(
        models, limits or Limits(), version="0", max_batch=max_batch, max_wait=max_wait, parallel=parallel, token=token,
        page=page, hosts=hosts, started=ready.set,
    )  # fmt: skip
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield Client(port)
    finally:
        running.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
