"""A comparison from a folder of images to a page: whole, stopped and taken up again, refused, and recomputed."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from condetr.cli import app
from condetr.comparing import compare as verb
from condetr.comparing import runner
from condetr.comparing.compare import Advanced, Compared, Interrupted, compare, recomputed
from condetr.errors import CondetrError, ConfigError, DataError
from tests import generated

TINY = {
    "data.size": 48, "model.dim": 16, "model.heads": 2, "model.hidden": 16, "model.encoder_layers": 1,
    "model.decoder_layers": 1, "model.queries": 5, "train.batch": 4, "train.warmup_steps": 0, "detr:train.lr": 2e-3,
}  # fmt: skip
MODELS = ["detr", "conditional_detr"]
EPOCHS = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    generated.write(folder, {"train": 8, "valid": 4})
    return folder


def study(data: Path, out: Path, **options) -> Compared:
    asked = {"settings": TINY, "epochs": [EPOCHS], "seeds": 1, "recipe": "nano", "device": "cpu", **options}
    return compare(data, MODELS, out, **asked)


@pytest.fixture(scope="module")
def compared(data, tmp_path_factory) -> Compared:
    return study(data, tmp_path_factory.mktemp("study"), jobs=2)


@pytest.fixture(scope="module")
def record(compared) -> dict:
    return json.loads((compared.planned.out / "comparison.json").read_text())


def test_each_model_has_a_whole_schedule_of_its_own(compared):
    assert [(c.model, c.epochs, len(c.points)) for c in compared.curves] == [(m, EPOCHS, EPOCHS) for m in MODELS]
    for curve in compared.curves:
        assert [point.images for point in curve.points] == [8, 16, 24, 32]
        assert all(a.seconds < b.seconds for a, b in zip(curve.points, curve.points[1:]))
    assert compared.unfinished == ()
    assert compared.problems == ()


def test_a_single_seed_has_the_interval_over_images(compared):
    for curve in compared.curves:
        assert curve.interval is not None
        low, high = curve.interval
        assert low <= curve.points[-1].ap <= high or curve.points[-1].ap == 0


def test_every_number_of_the_report_is_recomputed_from_the_json(compared, record):
    again = recomputed(record)
    assert asdict(again) == asdict(compared.comparison)
    assert json.loads(json.dumps(asdict(again))) == record["results"]


def test_the_json_holds_what_was_measured_and_asked(compared, record):
    assert record["asked"]["models"]["detr"]["train"]["lr"] == 2e-3
    assert record["asked"]["models"]["conditional_detr"]["train"]["lr"] == 1e-3
    assert record["data"]["images"] == {"train": 8, "valid": 4}
    rows = (compared.planned.runs[0].folder / "journal.jsonl").read_text().splitlines()
    aps = [row["ap"] for row in map(json.loads, rows) if row["kind"] == "epoch"]
    assert [point["ap"] for point in record["runs"][0]["points"]] == aps


def test_the_page_needs_nothing_else_and_says_that_one_seed_is_too_few(compared):
    page = (compared.planned.out / "report.html").read_text()
    assert "http-equiv" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "too few seeds to say (1)" in page
    assert "loss.classes" in page


def test_a_finished_study_is_not_trained_again(data, compared):
    events = []
    again = study(data, compared.planned.out, jobs=2, tell=events.append)
    assert not [event for event in events if isinstance(event, Advanced)]
    assert again.comparison == compared.comparison


def test_stopped_and_taken_up_again_it_ends_in_the_same_numbers(data, compared, tmp_path):
    out = tmp_path / "study"
    shutil.copytree(compared.planned.out, out)
    shutil.rmtree(out / "conditional_detr")

    def stop(event: verb.Event) -> None:
        if isinstance(event, Advanced):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="the same command goes on") as caught:
        study(data, out, tell=stop)
    assert caught.value.status == 128 + signal.SIGTERM
    again = study(data, out)
    assert [p.ap for p in again.curves[1].points] == [p.ap for p in compared.curves[1].points]
    assert again.curves[0] == compared.curves[0]


@pytest.mark.parametrize("begun", [False, True])
def test_ctrl_c_in_a_terminal_ends_in_one_line_whether_or_not_a_run_has_begun(data, tmp_path, begun):
    out = tmp_path / "study"
    words = [sys.executable, "-m", "condetr.cli", "compare", str(data), "--models", ",".join(MODELS), "--out", str(out)]
    words += ["--recipe", "nano", "--epochs", "500", "--seeds", "1", "--device", "cpu"]
    for path, value in TINY.items():
        words += ["--set", f"{path}={value}"]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )  # fmt: skip
    try:
        wanted = out / "detr" / "e500" / "s0" / "journal.jsonl"
        wait_until(lambda: wanted.exists() if begun else len(group(process.pid)) > 2)  # multiprocessing has a tracker
        time.sleep(0 if begun else 1)  # in the middle of its imports
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of its processes at once
        _, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "the same command goes on" in errors
    wait_until(lambda: not group(process.pid))


def group(leader: int) -> list[int]:
    """The processes that a Ctrl-C in the leader's terminal reaches."""
    found = subprocess.run(["ps", "-A", "-o", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid, pgid in map(str.split, found.splitlines()) if int(pgid) == leader]


def wait_until(true, seconds=60.0):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_study_taken_up_with_other_settings_is_refused(data, compared):
    with pytest.raises(ConfigError, match=r"started with other settings \(seeds was 1, now 2\)"):
        study(data, compared.planned.out, seeds=2)
    with pytest.raises(ConfigError, match=r"detr:train.batch was 4, now 2"):
        study(data, compared.planned.out, settings={**TINY, "train.batch": 2})


def test_a_study_that_is_older_than_a_setting_has_its_default(data, compared, tmp_path):
    out = tmp_path / "study"
    shutil.copytree(compared.planned.out, out)
    record = json.loads((out / "study.json").read_text())
    for model in record["asked"]["models"].values():
        del model["data"]["enlarge"]
    (out / "study.json").write_text(json.dumps(record))
    assert study(data, out, jobs=2).comparison == compared.comparison


def test_a_study_taken_up_on_other_data_is_refused(compared, tmp_path):
    generated.write(tmp_path, {"train": 6, "valid": 4}, seed=1)
    with pytest.raises(DataError, match="data set has changed"):
        study(tmp_path, compared.planned.out)


def test_a_run_that_fails_is_told_and_the_others_go_on(data, compared, tmp_path):
    out = tmp_path / "study"
    shutil.copytree(compared.planned.out, out)
    (out / "study.json").unlink()
    (out / "conditional_detr" / f"e{EPOCHS}" / "s0" / "result.json").unlink()
    (out / "conditional_detr" / f"e{EPOCHS}" / "s0" / "journal.jsonl").unlink()
    state = out / "conditional_detr" / f"e{EPOCHS}" / "s0" / "state"
    state.mkdir()
    (state / "step-00000004.safetensors").write_bytes(b"nothing")
    found = study(data, out)
    assert found.unfinished == (f"conditional_detr/e{EPOCHS}/s0",)
    assert len(found.problems) == 1
    assert found.problems[0].startswith("conditional_detr/e4/s0: ")
    assert [curve.model for curve in found.curves] == ["detr"]


def test_runs_at_the_same_time_share_the_memory_for_cached_images(compared, monkeypatch):
    seen = {}

    def train(*args, **options):
        seen.update(options)
        raise CondetrError("enough")

    ours, theirs = multiprocessing.Pipe(duplex=False)
    monkeypatch.setattr(runner, "train", train)
    monkeypatch.setattr(os, "setpgrp", lambda: None)
    runner._work(compared.planned.runs[0], compared.planned.data, "cpu", 1, 4, os.getpid(), theirs)
    assert ours.recv() == "enough"
    assert seen["cache_shares"] == 4


# --- bad input, as a person meets it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--models", "detr,conditional_dter"], "--models conditional_dter: no such model. There are"),
        (["--study", "head"], "--study head: no such study. There are headline, transforms, queries, references"),
        (["--models", "detr"], "two models or more"),
        ([], "give --models A,B or --study"),
        (["--study", "headline", "--epochs", "ten"], "--epochs ten: whole numbers with commas"),
        (["--study", "headline", "--epochs", "0"], "numbers above 0"),
        (["--study", "headline", "--reference", "scalar"], "--reference scalar: not among the models"),
        (["--study", "headline", "--recipe", "huge"], "huge: no such recipe. There are"),
        (["--study", "headline", "--set", "identity:train.lr=1"], "'identity' is not compared"),
        (["--study", "headline", "--device", "abacus"], "--device abacus: this machine has no such device"),
        (["--study", "headline", "--budget", "0.001"], "not one epoch of 2 models fits"),
        (["--study", "headline", "--hold-out", "0.2"], "has a split 'valid' already"),
    ],
)
def test_bad_input_is_one_line_with_the_way_out(data, tmp_path, words, line):
    result = CliRunner().invoke(app, ["compare", str(data), "--out", str(tmp_path / "out"), *words])
    assert isinstance(result.exception, CondetrError), result.output
    assert line in str(result.exception)
    assert "\n" not in str(result.exception)


def test_data_without_a_split_to_measure_on_is_refused_with_the_way_out(tmp_path):
    generated.write(tmp_path / "data", {"train": 6})
    with pytest.raises(DataError, match=r"no split 'valid' to compare on.*--hold-out 0\.15"):
        study(tmp_path / "data", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_held_out_is_the_same_for_all_seeds_and_models(tmp_path):
    generated.write(tmp_path / "data", {"train": 30})
    held = [verb._opened(tmp_path / "data", 0.3).split("valid").samples for _ in range(2)]
    assert [s.path.name for s in held[0]] == [s.path.name for s in held[1]]
    assert len(held[0]) > 1
