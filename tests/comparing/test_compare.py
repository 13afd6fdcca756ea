"""A comparison from a folder of images to its page: complete, interrupted and resumed, refused, and recomputed."""

import json
import multiprocessing
import os
import re
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
from condetr.comparing.compare import Interrupted, compare
from condetr.comparing.comparison import Comparison, recompute
from condetr.comparing.plan import Event
from condetr.comparing.runner import EpochDone
from condetr.comparing.study import Run
from condetr.config import Config
from condetr.errors import CondetrError, ConfigError, DataError
from condetr.examining.examine import examine
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


def study(data: Path, out: Path, **options) -> Comparison:
    arguments = {"settings": TINY, "epochs": [EPOCHS], "seeds": 1, "recipe": "nano", "device": "cpu", **options}
    return compare(data, MODELS, out, **arguments)


@pytest.fixture(scope="module")
def comparison(data, tmp_path_factory) -> Comparison:
    return study(data, tmp_path_factory.mktemp("study"), jobs=2)


@pytest.fixture(scope="module")
def record(comparison) -> dict:
    return json.loads((comparison.plan.out / "comparison.json").read_text())


def test_each_model_has_its_own_complete_schedule(comparison):
    assert [(c.model, c.epochs, len(c.points)) for c in comparison.curves] == [(m, EPOCHS, EPOCHS) for m in MODELS]
    for curve in comparison.curves:
        assert [point.images for point in curve.points] == [8, 16, 24, 32]
        assert all(a.seconds < b.seconds for a, b in zip(curve.points, curve.points[1:]))
    assert re.fullmatch(r"<Comparison of detr, conditional_detr on data\d*: 2 finished runs>", repr(comparison))
    assert comparison.unfinished == ()
    assert comparison.problems == ()


def test_a_single_seed_has_the_interval_over_images(comparison):
    for curve in comparison.curves:
        assert curve.interval is not None
        low, high = curve.interval
        assert low <= curve.points[-1].ap <= high or curve.points[-1].ap == 0


def test_every_number_of_the_report_can_be_recomputed_from_the_json(comparison, record):
    again = recompute(record)
    assert asdict(again) == asdict(comparison.results)
    assert json.loads(json.dumps(asdict(again))) == record["results"]
    reference, other = (run["points"][-1]["seconds"] / EPOCHS for run in record["runs"])
    times = [final["relative_time"]["median"] for final in record["results"]["finals"]]
    assert times == pytest.approx([1.0, other / reference])


def test_the_json_has_the_measurements_and_the_request(comparison, record):
    assert record["request"]["models"]["detr"]["train"]["lr"] == 2e-3
    assert record["request"]["models"]["conditional_detr"]["train"]["lr"] == 1e-3
    assert record["data"]["images"] == {"train": 8, "valid": 4}
    rows = (comparison.plan.runs[0].folder / "journal.jsonl").read_text().splitlines()
    aps = [row["ap"] for row in map(json.loads, rows) if row["kind"] == "epoch"]
    assert [point["ap"] for point in record["runs"][0]["points"]] == aps


def test_the_page_is_self_contained_and_says_that_nothing_was_learned(comparison):
    page = (comparison.plan.out / "report.html").read_text()
    assert "http-equiv" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert f"No model learned anything within {EPOCHS} epochs." in page
    assert "loss.classes" in page


def test_a_finished_study_is_not_trained_again(data, comparison):
    events = []
    again = study(data, comparison.plan.out, jobs=2, progress=events.append)
    assert not [event for event in events if isinstance(event, EpochDone)]
    assert again.results == comparison.results


def test_an_interrupted_and_resumed_study_has_the_same_numbers(data, comparison, tmp_path):
    out = tmp_path / "study"
    shutil.copytree(comparison.plan.out, out)
    shutil.rmtree(out / "conditional_detr")

    def stop(event: Event) -> None:
        if isinstance(event, EpochDone):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="the same command resumes the study") as caught:
        study(data, out, progress=stop)
    assert caught.value.status == 128 + signal.SIGTERM
    again = study(data, out)
    assert [p.ap for p in again.curves[1].points] == [p.ap for p in comparison.curves[1].points]
    assert again.curves[0] == comparison.curves[0]


def test_runs_need_no_signal_masks_and_process_groups_on_windows(data, tmp_path, monkeypatch):
    class Started(multiprocessing.Process):
        begun = ended = False

        def start(self):
            self.begun = True

        def terminate(self):
            self.ended = True

    def fails(*arguments, **options):
        raise CondetrError("no data")

    dataset = examine(data).trainable()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(signal, "pthread_sigmask")
    monkeypatch.delattr(os, "setpgrp")
    monkeypatch.setattr(runner, "train", fails)
    process = Started()
    runner._begin(process)
    runner._stop(process)
    assert (process.begun, process.ended) == (True, False)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    runner._work(Run("nano", 1, 0, Config(), tmp_path), dataset, "cpu", 1, 1, os.getppid(), sender)
    assert receiver.recv() == "no data"


def test_a_run_that_crashes_or_does_not_begin_is_reported_with_the_reason(data, tmp_path, monkeypatch):
    def fails(*arguments, **options):
        raise ValueError("a defect")

    monkeypatch.setattr(runner, "train", fails)
    monkeypatch.setattr(os, "setpgrp", lambda: None)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    run, dataset = Run("nano", 1, 0, Config(), tmp_path), examine(data).trainable()
    with pytest.raises(ValueError, match="a defect"):
        runner._work(run, dataset, "cpu", 1, 1, os.getppid(), sender)
    assert receiver.recv() == "ValueError: a defect"
    assert "call compare below `if __name__ == '__main__':`" in runner._exit_text(1)  # the script was imported again
    assert runner._exit_text(-9) == "killed by SIGKILL; out of memory?"


@pytest.mark.parametrize("begun", [False, True])
def test_ctrl_c_in_a_terminal_ends_with_one_line(data, tmp_path, begun):
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
    assert "the same command resumes the study" in errors
    wait_until(lambda: not group(process.pid))


def group(leader: int) -> list[int]:
    """The processes that Ctrl-C in the terminal of the leader reaches."""
    found = subprocess.run(["ps", "-A", "-o", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid, pgid in map(str.split, found.splitlines()) if int(pgid) == leader]


def wait_until(true, seconds=60.0):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_resuming_with_other_settings_is_refused(data, comparison):
    with pytest.raises(ConfigError, match=r"started with other settings \(seeds was 1, now 2\)"):
        study(data, comparison.plan.out, seeds=2)
    with pytest.raises(ConfigError, match=r"detr:train.batch was 4, now 2"):
        study(data, comparison.plan.out, settings={**TINY, "train.batch": 2})


def test_a_study_older_than_a_setting_uses_its_default(data, comparison, tmp_path):
    out = tmp_path / "study"
    shutil.copytree(comparison.plan.out, out)
    record = json.loads((out / "study.json").read_text())
    for model in record["request"]["models"].values():
        del model["data"]["enlarge"]
    (out / "study.json").write_text(json.dumps(record))
    assert study(data, out, jobs=2).results == comparison.results


def test_resuming_on_other_data_is_refused(comparison, tmp_path):
    generated.write(tmp_path, {"train": 6, "valid": 4}, seed=1)
    with pytest.raises(DataError, match="data set has changed"):
        study(tmp_path, comparison.plan.out)


def test_a_failed_run_is_reported_and_the_others_continue(data, comparison, tmp_path):
    out = tmp_path / "study"
    shutil.copytree(comparison.plan.out, out)
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


def test_runs_at_the_same_time_share_the_memory_for_cached_images(comparison, monkeypatch):
    seen = {}

    def train(*args, **options):
        seen.update(options)
        raise CondetrError("enough")

    receiver, sender = multiprocessing.Pipe(duplex=False)
    monkeypatch.setattr(runner, "train", train)
    monkeypatch.setattr(os, "setpgrp", lambda: None)
    runner._work(comparison.plan.runs[0], comparison.plan.data, "cpu", 1, 4, os.getpid(), sender)
    assert receiver.recv() == "enough"
    assert seen["cache_shares"] == 4


# --- bad input on the command line ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--models", "detr,conditional_dter"], "no such model. Did you mean conditional_detr?"),
        (["--models", "detr,yolo"], "--models yolo: no such model. There are the variants detr"),
        (["--study", "transform"], "--study transform: no such study. Did you mean transforms?"),
        (["--study", "head"], "--study head: no such study. There are headline, transforms, queries, references"),
        (["--models", "detr"], "two models or more"),
        ([], "give --models A,B or --study"),
        (["--study", "headline", "--epochs", "ten"], "--epochs ten: give whole numbers with commas"),
        (["--study", "headline", "--epochs", "0"], "epochs 0: must be at least 1"),
        (["--study", "headline", "--reference", "scalar"], "--reference scalar: not among the models"),
        (["--study", "headline", "--recipe", "huge"], "huge: no such recipe. The recipes are"),
        (["--study", "headline", "--set", "identity:train.lr=1"], "'identity' is not among the models"),
        (["--study", "headline", "--device", "abacus"], "--device abacus: this machine has no such device"),
        (["--study", "headline", "--budget", "0.001"], "not one epoch of 2 models fits"),
        (["--study", "headline", "--hold-out", "0.2"], "split 'valid'"),
    ],
)
def test_bad_input_is_refused_in_one_line(data, tmp_path, words, line):
    result = CliRunner().invoke(app, ["compare", str(data), "--out", str(tmp_path / "out"), *words])
    assert isinstance(result.exception, CondetrError), result.output
    assert line in str(result.exception)
    assert "`" not in str(result.exception)
    assert "\n" not in str(result.exception)


def test_data_without_a_valid_split_is_refused(tmp_path):
    generated.write(tmp_path / "data", {"train": 6})
    with pytest.raises(DataError, match=r"no split 'valid' to compare on.*`hold_out=0\.15`"):
        study(tmp_path / "data", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_held_out_images_are_the_same_each_time(tmp_path):
    generated.write(tmp_path / "data", {"train": 30})
    held = [verb._open(tmp_path / "data", 0.3).split("valid").samples for _ in range(2)]
    assert [s.path.name for s in held[0]] == [s.path.name for s in held[1]]
    assert len(held[0]) > 1
