"""Commands that download weights, as separate processes against a local server that speaks the hub's protocol."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from condetr.recipes import RECIPES
from tests import generated
from tests.hub.repositories import RESNETS, write_detector, write_resnet
from tests.hub.server import HubServer

pytestmark = pytest.mark.slow

CONDITIONAL, DETR = "microsoft/conditional-detr-resnet-50", "facebook/detr-resnet-50"
FAULTY = {"stand-in/gated": "gated", "stand-in/private": "private", "stand-in/error": "error",
          "stand-in/cut": "cut always"}  # fmt: skip
ANNOUNCED = re.compile("condetr: (reading|loading|downloading) ")
TWO_STEPS = ("--epochs", "1", "--batch", "2", "--size", "64", "--device", "cpu")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    for name in RESNETS:
        write_resnet(root, name)
    write_detector(root, CONDITIONAL, size=64)
    write_detector(root, DETR, names=5, preprocessor=False)
    for id in FAULTY:
        (root / id / "main").mkdir(parents=True)
        (root / id / "main" / "config.json").write_text("{}" * 100)
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return generated.write(tmp_path_factory.mktemp("data") / "shapes", {"train": 4, "valid": 2})


@pytest.fixture(scope="module")
def server(root):
    with HubServer(root, FAULTY) as server:
        yield server


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """The hub's cache of this machine, empty at first."""
    return tmp_path_factory.mktemp("cache")


def condetr(*words: object, at: Path, cache: Path, endpoint: str, **more: str) -> subprocess.CompletedProcess[str]:
    variables = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", **more}
    kept = {name: value for name, value in os.environ.items() if name not in ("HF_HUB_OFFLINE", "CI")}
    command = [sys.executable, "-m", "condetr.cli", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=at, env=kept | variables, timeout=600, check=False
    )


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "nano"])
def test_every_recipe_trains_from_imagenet_weights(recipe, data, server, cache, tmp_path):
    done = condetr("train", data, "--recipe", recipe, *TWO_STEPS, at=tmp_path, cache=cache, endpoint=server.url)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "shapes" / "last" / "model.safetensors").is_file()


@pytest.mark.parametrize("id", [CONDITIONAL, DETR])
def test_published_detectors_are_fine_tuned_to_other_classes(id, data, server, cache, tmp_path):
    done = condetr("train", data, "--init", id, *TWO_STEPS, at=tmp_path, cache=cache, endpoint=server.url)
    assert done.returncode == 0, done.stderr
    assert "queries" not in done.stderr
    used = condetr(
        "predict", data / "valid", "--weights", tmp_path / "runs" / "shapes", at=tmp_path, cache=cache,
        endpoint=server.url,
    )  # fmt: skip
    assert used.returncode == 0, used.stderr


def test_the_recipe_for_gpus_starts_from_the_published_detector(data, server, cache, tmp_path):
    words = ("train", data, "--recipe", "condetr_r50", "--init", CONDITIONAL, *TWO_STEPS)
    done = condetr(*words, at=tmp_path, cache=cache, endpoint=server.url)
    assert done.returncode == 0, done.stderr
    assert "decoder.layers" not in done.stderr  # all of its layers are in the weights


def test_every_command_takes_the_hubs_weights(data, server, cache, tmp_path):
    image = data / "valid" / "valid0.png"
    for words in (
        ("predict", image, "--weights", CONDITIONAL),
        ("explain", image, "--weights", CONDITIONAL, "--threshold", "0"),
        ("convert", CONDITIONAL, tmp_path / "converted"),
    ):
        done = condetr(*words, at=tmp_path, cache=cache, endpoint=server.url)
        assert done.returncode == 0, (words, done.stderr)
    done = condetr("predict", image, "--weights", tmp_path / "converted", at=tmp_path, cache=cache, endpoint=server.url)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("offline", ["0", "1"])
def test_without_the_hub_cached_weights_serve(offline, root, data, cache, tmp_path):
    """After the tests above the cache is full; here it is filled again, so that this test can run alone."""
    image = data / "valid" / "valid0.png"
    with HubServer(root) as server:
        assert condetr(
            "predict", image, "--weights", CONDITIONAL, at=tmp_path, cache=cache, endpoint=server.url
        ).returncode == 0  # fmt: skip
    for words in (
        ("predict", image, "--weights", CONDITIONAL, "--out", "again"),
        ("explain", image, "--weights", CONDITIONAL, "--threshold", "0", "--out", "explained"),
        ("convert", CONDITIONAL, tmp_path / f"converted-{offline}"),
        ("train", data, "--init", CONDITIONAL, *TWO_STEPS),
    ):
        done = condetr(*words, at=tmp_path, cache=cache, endpoint=server.url, HF_HUB_OFFLINE=offline)
        assert done.returncode == 0, (words, done.stderr)
    words = ("evaluate", data, "--weights", CONDITIONAL)  # loads them, and finds that they are of other classes
    done = condetr(*words, at=tmp_path, cache=cache, endpoint=server.url, HF_HUB_OFFLINE=offline)
    assert "the weights have none of the classes of 'valid'" in done.stderr


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("stand-in/gated", "gated"),
        ("stand-in/private", "no such"),
        ("stand-in/error", "500"),
        ("stand-in/cut", "hub"),
        ("stand-in/missing", "no such"),
        (f"{CONDITIONAL}@nowhere", "revision"),
    ],
)
def test_what_the_hub_refuses_is_one_line_and_leaves_nothing(id, expected, data, server, cache, tmp_path):
    for words in (("train", data, "--init", id), ("predict", data / "valid", "--weights", id)):
        done = condetr(*words, at=tmp_path, cache=cache, endpoint=server.url)
        assert done.returncode == 1, done.stderr
        *before, line = done.stderr.splitlines()
        assert all(ANNOUNCED.match(each) for each in before), done.stderr
        assert expected in line
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "predictions").exists()


def test_without_flags_a_cpu_trains_the_small_recipe_also_from_the_cache(root, data, tmp_path):
    """The recipe's image size is set here alone, so that the test takes seconds."""
    cache, short = tmp_path / "cache", ("--epochs", "1", "--size", "64", "--device", "cpu")
    with HubServer(root) as server:
        done = condetr("train", data, *short, at=tmp_path, cache=cache, endpoint=server.url)
        assert done.returncode == 0, done.stderr
        assert "why            no GPU was found" in done.stdout
        other = f"instead        condetr train {data} --init {CONDITIONAL} "
        assert other in done.stdout
        words = other.split()[2:]  # as printed, without the name of the program
        fine = condetr(*words, *short, at=tmp_path, cache=cache, endpoint=server.url)
        assert fine.returncode == 0, fine.stderr
        assert "lr (5e-05), batch 4, 1 epoch" in " ".join(fine.stdout.split())  # lines are as long as the terminal
    for offline in ("0", "1"):
        again = condetr("train", data, *short, at=tmp_path, cache=cache, endpoint=server.url, HF_HUB_OFFLINE=offline)
        assert again.returncode == 0, again.stderr


def test_without_the_hub_and_its_cache_one_line_names_a_way_that_works(data, tmp_path):
    at = {"at": tmp_path, "cache": tmp_path / "empty", "endpoint": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    short = ("--epochs", "1", "--device", "cpu")
    failed = condetr("train", data, "--out", "run", *short, **at)
    assert failed.returncode == 1
    assert all(ANNOUNCED.match(line) for line in failed.stderr.splitlines()[:-1])
    assert failed.stderr.endswith("or train from scratch with --recipe nano\n")
    assert not (tmp_path / "run").exists()
    done = condetr("train", data, "--out", "run", *short, "--recipe", "nano", **at)
    assert done.returncode == 0, done.stderr
    frozen = condetr("train", data, "--init", "none", **at)
    assert frozen.returncode == 1
    assert "--init none: parts of the backbone are frozen" in frozen.stderr
    way = "--set model.backbone.norm=channel --set model.backbone.trains_from=stem"
    assert way in frozen.stderr
    done = condetr("train", data, "--init", "none", *way.split(), "--size", "64", *short, **at)
    assert done.returncode == 0, done.stderr


def test_a_run_is_resumed_without_the_hub_and_without_a_cache(root, data, tmp_path):
    with HubServer(root) as server:
        done = condetr("train", data, "--init", CONDITIONAL, *TWO_STEPS, at=tmp_path, cache=tmp_path / "cache",
                       endpoint=server.url)  # fmt: skip
        assert done.returncode == 0, done.stderr
    done = condetr("train", data, "--resume", "--epochs", "2", "--device", "cpu", at=tmp_path, cache=tmp_path / "none",
                   endpoint="http://127.0.0.1:9", HF_HUB_OFFLINE="1")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "resuming at epoch 2 of 2, not of 1 as before" in done.stdout
