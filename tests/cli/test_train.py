"""`condetr train` as people use it: no flag but the data, lines where there is no terminal, one line for a mistake."""

import os
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from condetr.cli import app
from condetr.errors import CondetrError
from condetr.training.live import Follower, duration
from condetr.training.progress import Epoch, Stepped
from condetr.training.settings import called, free_folder, latest_folder
from tests import generated
from tests.small_run import SETTINGS

FLAGS = [word for path, value in SETTINGS.items() for word in ("--set", f"{path}={value}")]


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("condetr.training.run_folder.draw_curves", lambda *_: None)
    return generated.write(tmp_path / "shapes", {"train": 8})


def test_data_is_enough_and_a_run_finds_its_folder(root):
    done = CliRunner().invoke(app, ["train", str(root), "--recipe", "nano", *FLAGS], catch_exceptions=False)
    assert done.exit_code == 0
    told = done.stdout
    assert "of the training images are held out for it" in told
    for line in ("recipe", "images", "steps", "memory", "writes to   runs/shapes", "epoch 2: loss", "last weights"):
        assert line in told
    again = CliRunner().invoke(app, ["train", str(root), "--resume"], catch_exceptions=False)
    assert again.exit_code == 0
    assert "epoch 2: loss" not in again.stdout
    assert free_folder(root, Path("runs")) == Path("runs/shapes-2")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recipe", "tiny"], "no such recipe"),
        (["--set", "train.speed=3"], "no such setting"),
        (["--device", "tpu"], "no such device"),
        (["--track", "comet"], "no such tracker"),
        (["--epochs", "0"], "train.epochs"),
        (["--init", "nowhere"], "no such weights folder"),
        (["--resume"], "no run on shapes to resume"),
    ],
)
def test_mistakes_are_one_line(root, words, said):
    done = CliRunner().invoke(app, ["train", str(root), *words])
    assert isinstance(done.exception, CondetrError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_single_image_can_be_learnt_by_heart(tmp_path, monkeypatch):
    """Whether a model can learn one image is the first thing that many people try."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = generated.write(tmp_path / "one", {"train": 1})
    words = ["train", str(root), "--recipe", "nano", *FLAGS]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "no split 'valid': and too few training images to hold any out for it" in done.stdout
    assert "no object in 'valid': nothing is evaluated" in done.stdout
    assert "last weights: runs/one/last" in done.stdout
    assert Path("runs/one/last/model.safetensors").is_file()


def test_what_training_keeps_is_said_with_the_remedy(root):
    few = [word.replace("queries=6", "queries=1") for word in FLAGS]
    done = CliRunner().invoke(app, ["train", str(root), "--recipe", "nano", *few])
    assert (
        "the image has more objects than the model has queries (keep): increase model.queries (--queries N)"
        in done.stdout
    )


@pytest.mark.parametrize("file", ["train/_annotations.coco.json", "data.yaml", "annotations/instances_train2017.json"])
def test_a_run_is_called_like_its_data_whichever_file_was_given(tmp_path, file):
    (tmp_path / "birds.v2" / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "birds.v2" / file).touch()
    assert called(tmp_path / "birds.v2" / file) == called(tmp_path / "birds.v2") == "birds.v2"


def test_the_newest_run_is_resumed(tmp_path):
    for age, name in enumerate(("shapes-of-things", "shapes-2", "shapes")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").touch()
        os.utime(tmp_path / name / "config.json", (1e9 - age, 1e9 - age))
    assert latest_folder(Path("shapes"), tmp_path).name == "shapes-2"


def test_a_terminal_has_a_table_and_a_file_has_lines(tmp_path):
    step = Stepped(1, 2, 1, 4, 9.0, 1.0, 0.5, 0.6, 3.0, 1e-4, 12.0, 100.0)
    epoch = Epoch(1, 4, 9.0, 1.0, 0.5, 0.6, 3.0, 1e-4, *[0.25] * 7, 0.25, 3.0)
    terminal = Follower(Console(force_terminal=True, width=120, file=(tmp_path / "a").open("w")))
    for event in (step, epoch):
        terminal(event)
    shown = Console(width=120)
    with shown.capture() as captured:
        shown.print(terminal)
    assert "AP50" in captured.get()
    assert "0.250" in captured.get()
    assert "1.7 min" in captured.get() or "2 min left" in captured.get()
    with (tmp_path / "b").open("w") as file:
        plain = Follower(Console(file=file))
        plain(epoch)
    assert (tmp_path / "b").read_text() == "epoch 1: loss 9.000, AP 0.250, AP50 0.250, AP75 0.250, best 0.250, 3 s\n"


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5 s"), (600, "10 min"), (3600 * 5, "5.0 h"), (86400 * 3, "3.0 days")]
)
def test_durations_are_what_people_plan_with(seconds, words):
    assert duration(float(seconds)) == words
