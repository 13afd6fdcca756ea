"""A run gives the same weights when it is interrupted, accumulated or distributed; errors are one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from condetr import checkpoint
from condetr.config import override
from condetr.errors import CondetrError
from condetr.examining.examine import examine
from condetr.objective.set_loss import SetLoss
from condetr.training import trainer
from condetr.training.length import FEWEST
from condetr.training.loop import Loop, LossError
from condetr.training.progress import Epoch, Evaluating, Message, Planned, Step, Stopping
from condetr.training.run_folder import RunFolder
from condetr.training.start import start
from condetr.training.train import Stopped, train
from condetr.types import Categories
from tests import generated
from tests.small_run import settings


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    """An uninterrupted run with everything that has a state: dropout, moving average, all queries, two epochs."""
    out = tmp_path_factory.mktemp("whole")
    events = []
    result = train(dataset, settings(**EVERYTHING), out=out / "run", progress=events.append)
    return result, events


@pytest.fixture(autouse=True)
def undrawn(whole, monkeypatch):
    """Curves are drawn in `whole` alone: they take longer than the training."""
    monkeypatch.setattr("condetr.training.run_folder.draw_curves", lambda *_: None)


EVERYTHING = {
    "train__ema": 0.9, "train__groups": 2, "model__dropout": 0.1, "train__warmup_steps": 3,
    "model__scoring__kind": "iou_aware", "model__decoder__kind": "refining", "train__denoising": 8,
    "train__supervision": "one_to_many",
}  # fmt: skip


def weights(folder: Path, which: str = "last") -> dict[str, torch.Tensor]:
    return load_file(folder / which / "model.safetensors")


def same_bits(a: Path, b: Path) -> bool:
    return all(
        all(torch.equal(x, y) for x, y in zip(weights(a, which).values(), weights(b, which).values(), strict=True))
        for which in ("best", "last")
    )


def journal(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


class Halt(Exception):
    """Stands for a killed process."""


def killed_after(events: int):
    def progress(event):
        nonlocal events
        if isinstance(event, Step | Evaluating | Epoch):
            events -= 1
            if events == 0:
                raise Halt

    return progress


def test_a_run_writes_its_files_and_reports_its_events(whole):
    result, events = whole
    kinds = [type(event) for event in events if not isinstance(event, Message)]
    assert kinds[0] is Planned
    assert kinds.count(Step) == 4
    assert kinds.count(Epoch) == 2
    plan = events[[isinstance(event, Planned) for event in events].index(True)].plan
    assert (plan.steps, plan.epochs, plan.parts, plan.classes) == (2, 2, (8, 1, 1), ("square", "bar"))
    assert plan.memory > 1e6
    assert plan.seconds > 0
    assert {path.name for path in result.folder.iterdir()} >= {
        "config.json", "journal.jsonl", "metrics.csv", "curves.png", "best", "last", "state",
    }  # fmt: skip
    best = checkpoint.load(result.folder / "best")
    assert best.categories.names == ("square", "bar")
    assert result.best_ap == 0
    assert best.thresholds is None  # there are none to choose from
    card = (result.folder / "best" / "README.md").read_text()
    assert "on `valid`" in card
    assert "- model: Conditional DETR with refined boxes, nano, 6 queries, short side 32 px" in card
    assert [epoch.epoch for epoch in result.epochs] == [1, 2]
    assert result.best_ap == max(epoch.ap for epoch in result.epochs)


@pytest.mark.parametrize("moment", [1, 2, 4, 6])
def test_a_killed_run_ends_in_the_same_bits(whole, dataset, tmp_path, moment, monkeypatch):
    monkeypatch.setattr(RunFolder, "due", lambda self, epoch_over: True)
    out = tmp_path / "run"
    with pytest.raises(Halt):
        train(dataset, settings(**EVERYTHING), out=out, progress=killed_after(moment))
    result = train(dataset, out=out, resume=True)
    assert same_bits(out, whole[0].folder)
    assert journal(out) == journal(whole[0].folder)
    assert [epoch.loss for epoch in result.epochs] == [epoch.loss for epoch in whole[0].epochs]


def test_resume_starts_a_new_run_and_leaves_a_finished_one_alone(dataset, tmp_path, whole):
    result = train(dataset, settings(**EVERYTHING), out=tmp_path / "run", resume=True)
    assert same_bits(result.folder, whole[0].folder)
    events = []
    again = train(dataset, out=tmp_path / "run", resume=True, progress=events.append)
    assert (again.epochs, again.best_ap, again.weights) == (result.epochs, result.best_ap, result.weights)
    assert events[0] == Message("this run is already finished (2 epochs); `resume=True, epochs=4` trains it longer")
    assert [type(event) for event in events] == [Message, Message]  # the other: it learned nothing


def test_a_run_is_trained_longer_without_what_it_was_initialised_from(dataset, whole, tmp_path):
    """The longer run continues with the state, and needs no initial weights: their folder is gone."""
    init = shutil.copytree(whole[0].weights, tmp_path / "init")
    begun = settings(train__init=str(init), train__epochs=2, train__drop_at=0.5)
    train(dataset, begun, out=tmp_path / "run")
    shutil.rmtree(init)
    events = []
    longer = train(dataset, out=tmp_path / "run", resume=True, epochs=4, progress=events.append)
    assert [epoch.epoch for epoch in longer.epochs] == [1, 2, 3, 4]
    assert [epoch.lr for epoch in longer.epochs] == pytest.approx([1e-4, 1e-5, 1e-5, 1e-5])
    texts = [event.text for event in events if isinstance(event, Message)]
    assert (
        "resuming at epoch 3 of 4, not of 2 as before: the learning rate follows the schedule of 4 epochs "
        "(divided by 10 after epoch 2); it was 1e-05 in epoch 2 and is 1e-05 now"
    ) in texts
    with pytest.raises(CondetrError, match=r"train\.epochs=3: the run has trained 4 epochs already"):
        train(dataset, out=tmp_path / "run", resume=True, epochs=3)
    again = train(dataset, out=tmp_path / "run", resume=True, epochs=5, settings={"train.patience": 1})
    assert again.config.train.epochs == RunFolder(tmp_path / "run").saved_config().train.epochs == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_saves_the_state_and_sets_the_exit_status(whole, dataset, tmp_path, number, hangup_as_usual):
    out, sent, told = tmp_path / "run", [], []

    def progress(event):
        if isinstance(event, Stopping):
            told.append(event)
        if isinstance(event, Step) and not sent:
            sent.append(os.kill(os.getpid(), number))

    with pytest.raises(Stopped, match="continue with `resume=True`") as caught:
        train(dataset, settings(**EVERYTHING), out=out, progress=progress)
    assert caught.value.status == 128 + number
    assert told == [Stopping(number, now=False, kept=None)]
    assert str(told[0]) == "stopping after this step; interrupt again to stop at once (no state has been saved yet)"
    second = str(replace(told[0], now=True, kept=(3, 20)))
    assert second == "stopped at once; the newest state is after 20 steps of epoch 3"
    assert str(replace(told[0], now=True, kept=(2, 0))).endswith("the newest state is from the beginning of epoch 2")
    train(dataset, out=out, resume=True)
    assert same_bits(out, whole[0].folder)


def test_a_signal_before_the_first_step_stops_the_run_there(dataset, tmp_path):
    told = []

    def progress(event):
        told.append(event)
        if isinstance(event, Planned):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="stopped before the first step; continue with `resume=True`"):
        train(dataset, settings(), out=tmp_path / "run", progress=progress)
    stopping = next(event for event in told if isinstance(event, Stopping))
    assert str(stopping).startswith("stopping before the first step; interrupt again to stop at once")
    assert not any(isinstance(event, Step) for event in told)


def test_a_signal_while_a_new_run_is_loaded_leaves_no_folder(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "condetr.training.trainer.start", lambda *given: (os.kill(os.getpid(), signal.SIGTERM), start(*given))[1]
    )
    with pytest.raises(Stopped, match="stopped before the first step; nothing has been written"):
        train(dataset, settings(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_signal_during_an_evaluation_stops_the_run_before_the_next_epoch(dataset, tmp_path):
    epochs = []

    def progress(event):
        if isinstance(event, Epoch):
            epochs.append(event)
        if isinstance(event, Evaluating) and event.done == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="stopped at epoch 1, step 2 of 2"):
        train(dataset, settings(), out=tmp_path / "run", progress=progress)
    assert not epochs


@pytest.mark.parametrize("epochs", [0, 1])
def test_an_interrupted_run_has_the_curves_of_its_whole_epochs(dataset, tmp_path, monkeypatch, epochs):
    drawn = []
    monkeypatch.setattr("condetr.training.run_folder.draw_curves", lambda file, rows, title: drawn.append(len(rows)))

    def progress(event):
        if isinstance(event, Step) and event.epoch == epochs + 1 and event.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        train(dataset, settings(), out=tmp_path / "run", progress=progress)
    assert drawn == [epochs] * bool(epochs)


def test_a_run_is_resumed_with_its_own_settings_data_and_state(whole, dataset, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(Halt):
        train(dataset, settings(), out=out, progress=killed_after(9))
    with pytest.raises(CondetrError, match="contains a run already"):
        train(dataset, settings(), out=out)
    with pytest.raises(CondetrError, match=r"train.lr was 0.0001, now 0.002"):
        train(dataset, settings(train__lr=2e-3), out=out, resume=True)
    fewer = type(dataset)(
        dataset.root, dataset.format, dataset.categories, {**dataset.splits, "train": dataset.splits["valid"]}
    )
    train(dataset, out=out, resume=True)
    more_classes = replace(dataset, categories=Categories((0, 1, 2), ("square", "bar", "disc")))
    for other in (fewer, more_classes):
        with pytest.raises(CondetrError, match="the data set has changed"):
            train(other, out=out, resume=True)


@pytest.mark.parametrize("scoring", [{}, {"model__scoring": {"kind": "softmax"}, "model__reference": "learned"}])
def test_accumulating_gives_the_same_weights(dataset, tmp_path, scoring):
    one = train(dataset, settings(**scoring), out=tmp_path / "one").folder
    two = train(dataset, settings(**scoring), out=tmp_path / "two", micro_batch=4).folder
    for a, b in zip(weights(one).values(), weights(two).values()):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def test_where_memory_runs_out_fewer_images_at_a_time_give_the_same_weights(dataset, tmp_path, monkeypatch):
    expected = train(dataset, settings(), out=tmp_path / "all")
    backward, at_once, events = Loop._backward, [], []

    def with_little_memory(self, part, progress):
        at_once.append(len(part))
        terms = backward(self, part, progress)
        if len(part) > 2 and len(at_once) > 4:  # after the dry runs and the first step
            raise torch.OutOfMemoryError("CUDA out of memory")
        return terms

    monkeypatch.setattr(Loop, "_backward", with_little_memory)
    found = train(dataset, settings(), out=tmp_path / "few", progress=events.append)
    for a, b in zip(weights(expected.folder).values(), weights(found.folder).values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    assert at_once == [1, 2, 8, 8, 8, 4, *[2] * 12]
    notes = [event.text for event in events if isinstance(event, Message) and "out of memory" in event.text]
    assert notes == ["cpu: out of memory; from here on 2 images at a time, for the same batches"]


def test_memory_is_estimated_before_the_dry_runs_take_some(dataset, tmp_path, monkeypatch):
    calls = []
    for name in ("run_memory", "run_seconds"):
        measure = getattr(trainer, name)
        monkeypatch.setattr(trainer, name, lambda *a, name=name, measure=measure: calls.append(name) or measure(*a))
    train(dataset, settings(train__epochs=1), out=tmp_path / "run")
    assert calls == ["run_memory", "run_seconds"]


def test_the_plan_says_how_many_images_fit_and_a_single_one_that_does_not_is_one_line(dataset, tmp_path, monkeypatch):
    backward, most, plans = Loop._backward, 3, []

    def with_little_memory(self, part, progress):
        if len(part) > most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return backward(self, part, progress)

    def plan(event):
        plans.extend([event.plan] if isinstance(event, Planned) else [])

    monkeypatch.setattr(Loop, "_backward", with_little_memory)
    train(dataset, settings(train__epochs=1), out=tmp_path / "few", progress=plan)
    assert plans[0].parts == (2, 4, 1)
    most = 0
    with pytest.raises(CondetrError, match=r"^cpu: out of memory with a single image"):
        train(dataset, settings(), out=tmp_path / "none")


def test_memory_that_runs_out_elsewhere_is_one_line(dataset, tmp_path, monkeypatch):
    def without_memory(*arguments):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(trainer, "run_memory", without_memory)
    with pytest.raises(CondetrError, match=r"^cpu: out of memory\. Free some memory"):
        train(dataset, settings(), out=tmp_path / "none")


def test_a_folder_of_runs_is_no_run(dataset, tmp_path):
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    for name in ("config.json", "journal.jsonl"):
        (run / name).write_text("{}")
    for resume in (False, True):
        with pytest.raises(
            CondetrError, match=r"runs: a folder of runs \(first is one\)\. Name a folder in it"
        ) as error:
            train(dataset, settings(), out=tmp_path / "runs", resume=resume)
        assert f"`out={str(tmp_path / 'runs' / dataset.name)!r}`" in str(error.value)
        assert [path.name for path in run.parent.iterdir()] == ["first"]


def launched(processes: int, root: Path, out: Path, *more: str, timeout: int = 600) -> subprocess.CompletedProcess:
    script = Path(__file__).parents[1] / "launched.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.run(
        [*command, str(script), str(root), str(out), *more], capture_output=True, text=True, timeout=timeout,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_two_processes_give_the_same_weights_and_scores(root, dataset, tmp_path):
    done = launched(2, root, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    one = train(dataset, settings(), out=tmp_path / "one")
    accumulated = train(dataset, settings(), out=tmp_path / "accumulated", micro_batch=4)
    for name, expected in weights(one.folder).items():
        torch.testing.assert_close(weights(tmp_path / "two")[name], expected, atol=1e-6, rtol=0)
        assert torch.equal(weights(tmp_path / "two")[name], weights(accumulated.folder)[name])
    rows = [(row["epoch"], row["ap"], row["ar100"]) for row in journal(tmp_path / "two") if row["kind"] == "epoch"]
    assert rows == [(epoch.epoch, pytest.approx(epoch.ap), pytest.approx(epoch.ar100)) for epoch in one.epochs]
    assert done.stdout.count("Planned") == 1


@pytest.mark.slow
def test_an_error_in_one_process_ends_all(root, tmp_path):
    done = launched(2, root, tmp_path / "run", "--fail-in", "1")
    assert done.returncode != 0
    assert "step 2: the classes loss of layer 1 is NaN or infinite (images train" in done.stderr


def test_a_nan_loss_is_reported_with_its_term_and_images(dataset, tmp_path, monkeypatch):
    step, before = Loop.step, {}

    def poisoned(self, parts, lr, number, stop):
        if number == 2:
            before.update({name: tensor.clone() for name, tensor in self.detector.state_dict().items()})
            self.detector.heads.box[-1].register_forward_hook(lambda *_: torch.full_like(_[2], torch.nan))
        return step(self, parts, lr, number, stop)

    monkeypatch.setattr(Loop, "step", poisoned)
    with pytest.raises(
        LossError, match=r"step 3: the l1 loss of layer 1 is NaN or infinite \(images train\d+.png, "
    ) as caught:
        train(dataset, settings(train__ema=0.0), out=tmp_path / "run")
    assert "\n" not in str(caught.value)
    for name, tensor in weights(tmp_path / "run").items():
        assert torch.equal(tensor, before[name])


def test_the_loss_knows_which_share_of_the_run_is_done(dataset, tmp_path, monkeypatch):
    loss, steps = SetLoss.__call__, []

    def recorded(self, predictions, targets, step):
        steps.append(step)
        return loss(self, predictions, targets, step)

    monkeypatch.setattr(SetLoss, "__call__", recorded)
    iou_aware = settings(model__scoring__kind="iou_aware", train__epochs=2)
    train(dataset, iou_aware, out=tmp_path / "run")
    taken = steps[-4:]  # those before estimate memory and time
    assert [step.progress for step in taken] == [0, 0.25, 0.5, 0.75]


def test_early_stopping_counts_epochs_without_a_better_ap(dataset, tmp_path):
    result = train(dataset, settings(train__epochs=9, train__patience=2, train__lr=1e-12), out=tmp_path / "run")
    assert len(result.epochs) == 3
    assert result.best_epoch == 1


@pytest.mark.longest
def test_two_images_are_learnt_by_heart(tmp_path):
    root = generated.write(tmp_path / "two", {"train": 2, "valid": 2})
    (root / "valid" / "_annotations.coco.json").write_text(
        (root / "train" / "_annotations.coco.json").read_text().replace("train", "valid")
    )
    for i in range(2):
        (root / "valid" / f"valid{i}.png").write_bytes((root / "train" / f"train{i}.png").read_bytes())
    data = examine(root)
    splits = {**data.dataset.splits}
    learned = settings(
        train__epochs=3, train__batch=2, train__lr=3e-3, train__evaluate_every=3, data__size=48, data__scales=[1.0],
        data__crop_chance=0, data__flip_chance=0, train__ema=0.9,
    )  # fmt: skip
    # `examine` leaves out of train what valid has too; many steps an epoch, as the end of an epoch is slow
    splits["train"] = type(splits["valid"])("train", splits["valid"].samples * 50)
    dataset = type(data.dataset)(root, "coco", data.dataset.categories, splits)
    assert train(dataset, learned, out=tmp_path / "run").best_ap > 0.6


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_reaches_nearly_the_same_loss(dataset, tmp_path, precision):
    losses = [
        train(dataset, settings(train__precision=p), out=tmp_path / p).epochs[-1].loss for p in ("fp32", precision)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def long_training(root: Path, out: Path) -> None:
    """What the processes that are killed do."""
    torch.set_num_threads(1)
    longer = settings(train__epochs=15, train__ema=0.9, model__dropout=0.1)
    train(root, longer, out=out, resume=True, device="cpu", progress=lambda _: None)


@pytest.mark.slow
@pytest.mark.longest
def test_killed_at_random_moments_twenty_times(root, tmp_path):
    """The real thing: SIGKILL from outside, whatever the process is doing."""
    import random
    import time

    forked = get_context("forkserver")  # each process starts with torch imported, so that kills hit the training
    forked.set_forkserver_preload(["condetr.training.train", "tests.small_run"])

    def run(out: Path, seconds: float | None) -> int | None:
        process = forked.Process(target=long_training, args=(root, out))
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
        return process.exitcode

    begun = time.monotonic()
    assert run(tmp_path / "whole", None) == 0
    longest = time.monotonic() - begun
    draw, kills, runs = random.Random(0), 0, 0
    while kills < 20:
        out, runs = tmp_path / f"killed{runs}", runs + 1  # a run that was not killed is finished: the next one is new
        while (code := run(out, draw.uniform(0.05, 0.6) * longest if kills < 20 else None)) == -signal.SIGKILL:
            kills += 1
        assert code == 0
        assert same_bits(out, tmp_path / "whole")
        assert journal(out) == journal(tmp_path / "whole")


def test_a_run_whose_size_was_chosen_from_the_data_is_resumed_with_the_settings_it_began_with(dataset, tmp_path):
    base = settings(train__epochs=1)
    requested = override(base, {"data.enlarge": 16.0})
    events = []
    train(dataset, requested, out=tmp_path / "run", progress=events.append)
    assert any(isinstance(event, Message) and "images are resized to" in event.text for event in events)
    saved = RunFolder(tmp_path / "run").saved_config()
    assert (saved.data.size, saved.data.enlarge) == (2 * base.data.size, 0.0)  # twice is the most
    for again in (None, saved, requested, override(saved, {"data.enlarge": 16.0})):
        assert len(train(dataset, again, out=tmp_path / "run", resume=True).epochs) == 1
    with pytest.raises(CondetrError, match=f"data.size was {saved.data.size}, now {base.data.size}"):
        train(dataset, base, out=tmp_path / "run", resume=True)


def test_a_run_whose_epochs_were_chosen_from_the_data_is_resumed_with_the_settings_it_began_with(dataset, tmp_path):
    base = settings(train__evaluate_every=FEWEST)
    requested = override(base, {"train.steps": 1})
    events = []
    train(dataset, requested, out=tmp_path / "run", progress=events.append)
    assert any(isinstance(event, Message) and f"{FEWEST} epochs instead of" in event.text for event in events)
    saved = RunFolder(tmp_path / "run").saved_config()
    assert (saved.train.epochs, saved.train.steps) == (FEWEST, 0)
    for again in (None, saved, requested):
        assert len(train(dataset, again, out=tmp_path / "run", resume=True).epochs) == FEWEST
