"""`condetr train` as people use it: only the data, plain lines where there is no terminal, one line for a mistake."""

import re
import shlex
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from condetr.cli import app
from condetr.errors import CondetrError
from condetr.training.data import training_data
from condetr.training.default_folder import new_folder
from condetr.training.live import LiveProgress, live_progress
from condetr.training.plan import duration
from condetr.training.progress import Epoch, Step
from tests import generated
from tests.small_run import SETTINGS, settings

FLAGS = [word for path, value in SETTINGS.items() for word in ("--set", f"{path}={value}")]


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("condetr.training.run_folder.draw_curves", lambda *_: None)
    return generated.write(tmp_path / "shapes", {"train": 8})


@pytest.mark.parametrize("follow_outside", [False, True])
def test_the_doctors_command_that_training_names_lists_what_training_counted(root, follow_outside):
    messages: list[str] = []
    config = settings(model__queries=1)
    training_data(root, config, lambda event: messages.append(getattr(event, "text", "")), follow_outside)
    (counted,) = (number for text in messages for number in re.findall(r"(\d+) × the image has more objects", text))
    (command,) = (found for text in messages for found in re.findall(r"`condetr (doctor [^`]*)`", text))
    assert ("--follow-outside" in command) == follow_outside
    listed = CliRunner().invoke(app, shlex.split(command), catch_exceptions=False)
    assert re.search(rf"{counted} +too_many_objects", listed.stdout)


def test_the_data_is_enough_and_resume_finds_the_run(root):
    done = CliRunner().invoke(app, ["train", str(root), "--recipe", "nano", *FLAGS], catch_exceptions=False)
    assert done.exit_code == 0
    assert "of the training images are held out for it" in done.stdout
    for line in ("recipe", "images", "steps", "learning rate", "runs/shapes", "epoch 2: loss", "last weights"):
        assert line in done.stdout
    again = CliRunner().invoke(app, ["train", str(root), "--resume"], catch_exceptions=False)
    assert again.exit_code == 0
    assert "epoch 2: loss" not in again.stdout
    assert new_folder("shapes", Path("runs")) == Path("runs/shapes-2")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--recipe", "smal"], "--recipe smal: no such recipe. Did you mean small?"),
        (["--set", "train.lrr=3"], "--set train.lrr: no such setting. Did you mean train.lr?"),
        (["--set", "train.lr=-1"], "--set train.lr=-1: must be greater than 0"),
        (["--epochs", "3", "--set", "train.epochs=4"], "--set train.epochs: given twice, as --epochs"),
        (["--device", "tpu"], "no such device"),
        (["--track", "comet"], "--track comet: no such tracker"),
        (["--epochs", "0"], "--epochs 0: must be at least 1"),
        (["--init", "nowhere"], "no such weights folder"),
        (["--resume"], "no run on the data set"),
    ],
)
def test_mistakes_are_one_line(root, words, expected):
    done = CliRunner().invoke(app, ["train", str(root), *words])
    assert isinstance(done.exception, CondetrError)
    assert expected in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not Path("runs/shapes").exists()


def test_the_folder_of_a_second_run_is_named_when_the_settings_are_valid(root):
    Path("runs/shapes").mkdir(parents=True)
    mistaken = CliRunner().invoke(app, ["train", str(root), "--recipe", "nano", "--lr", "0"])
    assert "exists already" not in mistaken.stdout
    nothing = CliRunner().invoke(app, ["train", str(root), "--recipe", "nano", "--init", "nowhere"])
    assert "so this run is written to runs/shapes-2; --resume continues" in nothing.stdout


def test_a_single_image_is_enough_to_train_on(tmp_path, monkeypatch):
    """Whether a model can learn one image is the first thing that many people try."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = generated.write(tmp_path / "one", {"train": 1})
    words = ["train", str(root), "--recipe", "nano", *FLAGS]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "no split 'valid', and too few training images to hold any out for it" in done.stdout
    assert "no object in 'valid': nothing is evaluated" in done.stdout
    assert "last weights: runs/one/last" in done.stdout
    assert Path("runs/one/last/model.safetensors").is_file()


def test_a_defect_that_training_keeps_is_reported_with_its_remedy(root):
    few = [word.replace("queries=6", "queries=1") for word in FLAGS]
    done = CliRunner().invoke(app, ["train", str(root), "--recipe", "nano", *few])
    assert "more objects than the model has queries (keep): increase model.queries, on the command line " in done.stdout


def test_a_terminal_shows_a_table_and_a_file_or_a_dumb_terminal_gets_lines(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    step = Step(1, 2, 1, 4, 9.0, 1.0, 0.5, 0.6, 3.0, 1e-4, 12.0, 100.0)
    epoch = Epoch(1, 4, 9.0, 1.0, 0.5, 0.6, 3.0, 1e-4, *[0.25] * 7, 0.25, 3.0)
    terminal = LiveProgress(Console(force_terminal=True, width=120, file=(tmp_path / "a").open("w")))
    for event in (step, epoch):
        terminal(event)
    shown = Console(width=120)
    with shown.capture() as captured:
        shown.print(terminal)
    assert "AP50" in captured.get()
    assert "0.250" in captured.get()
    assert "1.7 min" in captured.get() or "2 min left" in captured.get()
    line = "epoch 1: loss 9.000, AP 0.250, AP50 0.250, AP75 0.250, best 0.250, 3 s\n"
    for term, forced in (("xterm", False), ("dumb", True)):
        monkeypatch.setenv("TERM", term)
        with (tmp_path / "b").open("w") as file, live_progress(Console(file=file, force_terminal=forced)) as plain:
            plain(epoch)
        assert (tmp_path / "b").read_text() == line


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5 s"), (600, "10 min"), (3600 * 5, "5.0 h"), (86400 * 3, "3.0 days")]
)
def test_durations_have_a_suitable_unit(seconds, words):
    assert duration(float(seconds)) == words
