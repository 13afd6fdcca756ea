"""`--profile` reports where the time goes, and changes nothing."""

import io
from contextlib import nullcontext
from threading import Thread
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from condetr.build import build_detector
from condetr.engine.precision import Float32
from condetr.engine.stopwatch import Stopwatch, measured_by, switch, timed, timed_items
from condetr.examining.examine import examine
from condetr.training.live import LiveProgress, profile_table
from condetr.training.profile import Profile
from condetr.training.progress import Profiled
from condetr.training.train import train
from tests import generated
from tests.small_run import settings
from tests.tiny import TINY
from tests.training.test_train import same_bits


def test_each_moment_belongs_to_one_part():
    now = SimpleNamespace(time=0.0)

    def wait(seconds):
        now.time += seconds

    def items():
        for _ in range(2):
            wait(3)
            yield None

    watch = Stopwatch(lambda: now.time)
    wait(100)
    with measured_by(watch):
        wait(1)
        with timed("outer"):
            wait(2)
            with timed("inner"):
                wait(4)
            wait(8)
        for _ in timed_items("items", items()):
            wait(16)
        switch("last")
        wait(32)
    wait(100)
    with timed("outside"):
        wait(1)
    assert watch.seconds == {"other": 33, "outer": 10, "inner": 4, "items": 6, "last": 32}


def in_another_thread(work):
    """As torch runs the backward pass on a GPU."""

    def on_one_core():
        torch.set_num_threads(1)
        work()

    thread = Thread(target=on_one_core)
    thread.start()
    thread.join()


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("profile")
    data = generated.write(tmp / "shapes", {"train": 10, "valid": 2})
    dataset = examine(data).trainable()
    config = settings(
        train__epochs=3, train__batch=2, train__ema=0.9, train__feature_epochs=0.67, train__feature_variants=1,
        train__groups=2, model__dropout=0.1,
    )  # fmt: skip
    events: list = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("condetr.training.run_folder.draw_curves", lambda *_: None)
        train(dataset, config, out=tmp / "plain")
        patch.setattr(Float32, "backward", lambda self, loss: in_another_thread(loss.backward))
        train(dataset, config, out=tmp / "profiled", profile=True, progress=events.append)
    return tmp, [event for event in events if isinstance(event, Profiled)]


def test_the_weights_are_the_same(profiled):
    folder, _ = profiled
    assert same_bits(folder / "profiled", folder / "plain")


def test_every_kind_of_epoch_is_reported_once_with_all_its_parts(profiled):
    _, events = profiled
    assert [e.kind for e in events] == ["on features that are computed", "on cached features", "on images"]
    common = {
        "reading", "encoder", "encoder backward", "decoder", "decoder backward", "matching", "loss", "loss backward",
        "optimizer", "average", "other",
    }  # fmt: skip
    for event, parts in zip(events, ({"backbone"}, set(), {"backbone", "backbone backward"}), strict=True):
        assert set(event.in_step) == common | parts
        assert set(event.in_epoch) == {"evaluation", "files"}
        assert all(seconds > 0 for seconds in (*event.in_step.values(), *event.in_epoch.values()))
        assert (event.measured, event.steps) == (2, 5)


def test_what_is_done_in_several_epochs_is_reported_as_the_share_of_one(monkeypatch):
    now, events = SimpleNamespace(time=0.0), []
    monkeypatch.setattr("condetr.training.profile.Stopwatch", lambda synchronise: Stopwatch(lambda: now.time))
    profile = Profile(build_detector(TINY, 2), torch.device("cpu"), 3, events.append)
    for number in range(3):
        with profile.epoch("on images", 4):
            for _ in range(4):
                with timed("loss"):
                    now.time += 1
                profile.step("on images")
            with timed("evaluation") if number == 2 else nullcontext():
                now.time += 6 * (number == 2)
            with timed("files"):
                now.time += 2
    (event,) = events
    assert event.in_epoch == {"evaluation": 2, "files": 2}
    assert (event.measured, event.in_step) == (9, {"loss": 1, "other": 0})


def test_the_table_adds_up_to_the_whole():
    in_step = {"backbone": 0.1, "backbone backward": 0.2, "reading": 0.05, "other": 0.05}
    event = Profiled("on images", 7, 10, in_step, {"evaluation": 0.75, "files": 0.25})
    lines = [[cell.plain for cell in cells] for cells, _ in profile_table(event).rows]
    assert lines == [
        ["reading", "50.0 ms", "", "0.5 s", "10 %"],
        ["backbone", "100.0 ms", "200.0 ms", "3.0 s", "60 %"],
        ["other", "50.0 ms", "", "0.5 s", "10 %"],
        ["evaluation", "", "", "0.8 s", "15 %"],
        ["writing files", "", "", "0.2 s", "5 %"],
    ]
    console = Console(file=io.StringIO(), width=80)
    LiveProgress(console)(event)
    assert "time of a step on images, mean of 7 steps" in console.file.getvalue()
