"""Without `out` a run gets a new folder, and `resume` finds the latest run on the same data set."""

import json
import os
from pathlib import Path

import pytest

from condetr.errors import CondetrError, ConfigError
from condetr.training.default_folder import dataset_folder, default_folder, folder_note, latest_folder, new_folder
from condetr.training.progress import Message
from condetr.training.train import train
from tests import generated
from tests.small_run import settings


@pytest.mark.parametrize("file", ["train/_annotations.coco.json", "data.yaml", "annotations/instances_train2017.json"])
def test_a_run_is_named_after_its_data_set_whichever_file_is_given(tmp_path, file):
    (tmp_path / "birds.v2" / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "birds.v2" / file).touch()
    assert dataset_folder(tmp_path / "birds.v2" / file) == dataset_folder(tmp_path / "birds.v2")
    assert dataset_folder(tmp_path / "birds.v2" / file).name == "birds.v2"


def test_a_new_folder_never_exists(tmp_path):
    assert new_folder("birds", tmp_path) == tmp_path / "birds"
    for name in ("birds", "birds-2"):
        (tmp_path / name).mkdir()
    assert new_folder("birds", tmp_path) == tmp_path / "birds-3"


def test_a_run_beside_an_older_one_says_where_it_is_written(tmp_path):
    data = tmp_path / "birds"
    assert folder_note(Path("runs/birds"), data, resume=False) == ""
    assert folder_note(Path("runs/birds-3"), data, resume=True) == "resuming runs/birds-3"
    line = "runs/birds exists already, so this run is written to runs/birds-2; `resume=True` continues"
    assert folder_note(Path("runs/birds-2"), data, resume=False).startswith(line)


def run_on(data: Path, folder: Path, age: int) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").touch()
    (folder / "data.json").write_text(json.dumps({"folder": str(data), "fingerprint": "x"}))
    os.utime(folder / "config.json", (1e9 - age, 1e9 - age))


def test_the_latest_run_on_the_same_data_set_is_resumed(tmp_path):
    runs, birds = tmp_path / "runs", tmp_path / "birds"
    run_on(birds, runs / "birds", age=3)
    run_on(birds, runs / "birds-2", age=2)
    run_on(tmp_path / "birds-3", runs / "birds-3", age=1)  # the first run on a data set named birds-3
    run_on(tmp_path / "elsewhere" / "birds", runs / "birds-4", age=0)
    (runs / "birds-5").mkdir()  # a start that was killed before it trained
    (runs / "birds-5" / "config.json").touch()
    (runs / "broken").mkdir()
    (runs / "broken" / "data.json").write_text("[1")
    run_on(birds, runs / "profiled", age=0)  # named with `out`
    assert latest_folder(birds, runs) == runs / "birds-2"
    run_on(tmp_path / "owls", runs / "named", age=0)
    assert latest_folder(tmp_path / "owls", runs) == runs / "named"
    with pytest.raises(
        ConfigError, match=r"no run on the data set .*crows to resume. Name the run's folder with `out`"
    ):
        latest_folder(tmp_path / "crows", runs)


def test_several_processes_need_a_named_folder(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(ConfigError, match="`out`: name the run's folder"):
        default_folder("birds", resume=False)


def test_resume_without_a_folder_refuses_the_run_of_another_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("condetr.training.run_folder.draw_curves", lambda *_: None)
    one = generated.write(tmp_path / "one" / "shapes", {"train": 8, "valid": 2})
    other = generated.write(tmp_path / "other" / "shapes", {"train": 9, "valid": 2})
    run = train(one, settings(train__epochs=1))
    assert run.folder == Path("runs/shapes")
    told: list[object] = []
    assert train(one, resume=True, progress=told.append).epochs == run.epochs
    assert told[0] == Message("resuming runs/shapes")
    with pytest.raises(CondetrError, match=r"this run was trained on .*one/shapes, not on .*other/shapes. Give that"):
        train(other, out="runs/shapes", resume=True)
    with pytest.raises(ConfigError, match="no run on the data set"):
        train(other, resume=True)


def test_a_start_that_fails_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("condetr.training.run_folder.draw_curves", lambda *_: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = generated.write(tmp_path / "shapes", {"train": 8, "valid": 2})
    (tmp_path / "broken.pth").write_bytes(b"not weights")
    for mistake in ({"init": tmp_path / "broken.pth"}, {"epochs": 0}):
        with pytest.raises(CondetrError):
            train(root, settings(), **mistake)
        assert not Path("runs/shapes").exists()
    with pytest.raises(ConfigError, match="no run on the data set"):
        train(root, resume=True)
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "config.json").write_text(settings(train__init="owner/weights").model_dump_json())
    assert train(root, settings(train__epochs=1), out=tmp_path / "killed").folder == tmp_path / "killed"
    kept = tmp_path / "notes"
    kept.mkdir()
    (kept / "notes.txt").touch()
    with pytest.raises(CondetrError):
        train(root, settings(), out=kept, epochs=0)
    assert [file.name for file in kept.iterdir()] == ["notes.txt"]
