"""`condetr serve` in a process of its own: it finishes what it has accepted on SIGTERM, and warns of open doors."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from condetr.checkpoint import load, save
from condetr.cli.serve import _names, _token
from condetr.errors import CondetrError
from condetr.predicting.predictor import Predictor
from condetr.serving.limits import Limits
from condetr.serving.models import named, share_threads
from condetr.serving.serve import server
from tests.serving.served import Client, exported_model, model, picture, tiny_weights


@contextmanager
def process(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen, Client]]:
    save(folder / "birds", tiny_weights())
    started = subprocess.Popen(
        [sys.executable, "-m", "condetr", "serve", "--weights", str(folder / "birds"), "--port", "0", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert started.stdout is not None
        found = re.search(r"serving birds on http://[\d.]+:(\d+)", started.stdout.readline())
        assert found is not None
        yield started, Client(int(found[1]))
    finally:
        started.kill()
        started.communicate()


@pytest.mark.slow
def test_a_process_serves_the_predictions_of_its_weights_and_stops_on_sigterm(tmp_path: Path):
    with process(tmp_path, "--max-batch", "4", "--host", "0.0.0.0") as (server, client):
        images = [picture(i) for i in range(30)]
        predictor = Predictor(load(tmp_path / "birds"))
        with ThreadPoolExecutor(30) as pool:
            replies = [pool.submit(client.predict, image) for image in images]
            for image, reply in zip(images, replies):
                expected = predictor(image, threshold=0.0).to_dict()["detections"]
                assert reply.result().json["images"][0]["detections"] == expected
        server.send_signal(signal.SIGTERM)
        output, errors = server.communicate(timeout=60)
        assert server.returncode == 0
        assert output == "stopped\n"
        assert "other machines can use this server without a token" in errors
        assert "Traceback" not in errors


@pytest.mark.slow
def test_a_second_ctrl_c_does_not_wait_for_accepted_requests(tmp_path: Path):
    with process(tmp_path) as (running, client), socket.create_connection(("127.0.0.1", client.port)) as held:
        held.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        assert client("GET", "/v2/health/live").status == 200
        time.sleep(0.5)  # until the server has forgotten this request
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        lines = [running.stderr.readline() for _ in range(3)]
        assert lines[2] == "condetr: finishing 1 request; Ctrl-C again stops at once\n"
        running.send_signal(signal.SIGINT)
        output, errors = running.communicate(timeout=10)
        assert (running.returncode, output) == (130, "")
        assert errors == "condetr: stopped before all accepted requests were finished\n"


def test_only_a_second_ctrl_c_ends_a_server_at_once():
    calls: list[str] = []
    stopped = server(
        [], Limits(), version="0", max_batch=1, max_wait=0.0, forced=lambda: calls.append("forced"),
        finishing=lambda requests: calls.append("finishing"),
    )  # fmt: skip
    stopped.handle_exit(signal.SIGTERM, None)
    stopped.handle_exit(signal.SIGTERM, None)
    assert (stopped.should_exit, calls) == (True, [])
    stopped.handle_exit(signal.SIGINT, None)
    assert calls == ["forced"]


def test_parallel_predictions_share_the_threads_of_torch(monkeypatch: pytest.MonkeyPatch):
    chosen: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    share_threads(1, [exported_model()])
    share_threads(2, [model()])
    share_threads(5, [model(), model()])
    assert chosen == [2, 1]
    with pytest.raises(CondetrError, match=r"`parallel=6`: torch uses 5 threads here\. Choose at most 5"):
        share_threads(6, [model()])
    with pytest.raises(CondetrError, match=r"`parallel=2`: fixed is not computed by torch on a CPU"):
        share_threads(2, [model(), exported_model()])
    assert chosen == [2, 1]


def test_models_are_named_by_their_folders_or_as_told(tmp_path: Path):
    assert named(["runs/birds/", "a=runs/birds", "owner/name@v1", "x/fish.onnx"]) == {
        "birds": "runs/birds/", "a": "runs/birds", "name": "owner/name@v1", "fish": "x/fish.onnx",
    }  # fmt: skip
    with pytest.raises(CondetrError, match="another model is named birds"):
        named(["runs/birds", "others/birds"])
    with pytest.raises(CondetrError, match="missing after ="):
        named(["birds="])


def test_a_token_is_one_word_of_a_file_or_the_environment(tmp_path: Path, monkeypatch):
    file = tmp_path / "token"
    file.write_text("abc\n")
    assert _token(file) == "abc"
    monkeypatch.setenv("CONDETR_TOKEN", "def")
    assert _token(None) == "def"
    for content in ("", "a b", "ü"):
        file.write_text(content)
        with pytest.raises(CondetrError, match="one word"):
            _token(file)
    with pytest.raises(CondetrError, match="No such file"):
        _token(tmp_path / "none")


def test_public_names_are_allowed_where_only_this_machine_is_served_without_a_token():
    assert _names("127.0.0.1", None, []) == frozenset()
    assert _names("localhost", None, ["Detect.example.org"]) == {"detect.example.org"}
    assert _names("0.0.0.0", None, []) is None
    assert _names("127.0.0.1", "secret", []) is None
    for host, token, name, why in (
        ("0.0.0.0", None, "a.org", "not needed with --host 0.0.0.0"), ("::1", "x", "a.org", "not needed with a token"),
        ("127.0.0.1", None, "http://a.org", "not the name of a host"), ("::1", None, "*", "not the name of a host"),
    ):  # fmt: skip
        with pytest.raises(CondetrError, match=why):
            _names(host, token, [name])
