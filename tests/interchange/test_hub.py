"""Weights from the hub: a revision can be pinned, and each kind of failure has its own message."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from condetr.checkpoint import Weights, save
from condetr.config import Config
from condetr.interchange.hub import is_repository, reason
from condetr.types import Categories
from tests.hub.server import HubServer
from tests.tiny import TINY, shaken

LOAD = """
import sys, json, condetr
results = {}
for name in sys.argv[1:]:
    try:
        results[name] = condetr.load(name).thresholds
    except condetr.CondetrError as error:
        results[name] = str(error)
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> subprocess.CompletedProcess[str]:
    """What loading each name gives, in a process of its own: the hub's client reads its settings when imported."""
    root, cache = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("cache")
    weights = shaken(TINY, 1)
    for revision, threshold in (("main", 0.5), ("v1", 0.25)):
        save(
            root / "own" / "tiny" / revision,
            Weights(weights, Config(model=TINY), Categories((1,), ("a",)), (threshold,)),
        )
    for name in ("gated", "error"):
        (root / "own" / name / "main").mkdir(parents=True)
        (root / "own" / name / "main" / "config.json").write_text("{}")
    names = ["own/tiny", "own/tiny@v1", "own/tiny@v2", "own/nothing", "own/gated", "own/error"]
    with HubServer(root, {"own/gated": "gated", "own/error": "error"}) as server:
        kept = {name: value for name, value in os.environ.items() if name not in ("HF_HUB_OFFLINE", "CI")}
        environment = kept | {"HF_ENDPOINT": server.url, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-c", LOAD, *names]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=True, cwd=cache)


@pytest.fixture(scope="module")
def results(done) -> dict[str, object]:
    return json.loads(done.stdout)


def test_downloads_show_no_progress_bars(done):
    assert not any(word in done.stderr for word in ("Fetching", "Downloading", "%", "it/s"))


def test_a_revision_is_pinned_after_an_at_sign(results):
    assert results["own/tiny"] == [0.5]
    assert results["own/tiny@v1"] == [0.25]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("own/tiny@v2", "own/tiny@v2: the repository has no revision 'v2'"),
        ("own/nothing", "own/nothing: no such folder, and no such repository on the hub"),
        ("own/gated", "own/gated: access to this repository is restricted"),
        ("own/error", "own/error: no such folder, not in the hub's cache, and the download failed"),
    ],
)
def test_each_failure_has_its_own_line(results, name, reason):
    assert isinstance(results[name], str)
    assert results[name].startswith(reason)
    assert "\n" not in results[name]


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("facebook/detr-resnet-50", True),
        ("facebook/detr-resnet-50@main", True),
        ("facebook/detr-resnet-50@refs/pr/3", True),
        ("facebook/detr@1f2e3d", True),
        ("facebook/detr@", False),
        ("facebook/detr@../../etc", False),
        ("facebook/detr@a/../b", False),
        ("facebook/detr@a b", False),
        ("facebook/detr@é", False),
        ("detr", False),
        ("a/b/c", False),
        ("./a", False),
        ("runs/birds@home?", False),
    ],
)
def test_the_form_of_a_name_is_checked_before_the_hub_is_contacted(name: str, valid: bool):
    assert is_repository(name) == valid


def test_a_path_is_not_a_repository(tmp_path: Path):
    assert not is_repository(str(tmp_path))


def test_the_reason_of_a_failed_download_has_no_prefix():
    assert reason(OSError("Got: ConnectError: refused\nmore")) == "ConnectError: refused"
    assert reason(OSError()) == "OSError"
