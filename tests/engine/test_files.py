"""The files of a run are complete or absent, failures are one line, and two processes never write one folder."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from condetr.engine import state
from condetr.engine.ema import Average, Decay
from condetr.engine.interrupt import REPEATED, deferred_signals
from condetr.engine.journal import Journal, write_csv
from condetr.engine.lock import locked
from condetr.engine.trackers import TRACKERS, Tracker, Trackers, check_names
from condetr.errors import CondetrError
from condetr.files import check_new_folder, check_writable, quoted, write_text


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt, as in a terminal; a process in the background may ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def trained(steps: int = 3):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    optimizer, average = torch.optim.AdamW(model.parameters(), fused=True), Average(model, Decay(0.9, ramp=0))
    for step in range(steps):
        optimizer.zero_grad()
        model(torch.randn(2, 3)).sum().backward()
        optimizer.step()
        average.update(model, step)
    return model, average, optimizer


def write(folder, total):
    model, average, optimizer = trained(total)
    state.write(folder, state.Position("data", total=total, sums=[0.1, 1 / 3], best_ap=0.25), model, average, optimizer)
    return model, average, optimizer


def test_a_state_is_restored_bit_by_bit(tmp_path):
    model, average, optimizer = write(tmp_path, 3)
    other, other_average, other_optimizer = trained(0)
    place = state.read(state.files(tmp_path)[-1], other, other_average, other_optimizer, torch.device("cpu"))
    assert (place.total, place.sums, place.best_ap) == (3, [0.1, 1 / 3], 0.25)
    for ours, theirs in ((other, model), (other_average.model, average.model)):
        for a, b in zip(ours.state_dict().values(), theirs.state_dict().values()):
            assert torch.equal(a, b)
    for a, b in zip(other.parameters(), model.parameters()):
        for key in ("step", "exp_avg", "exp_avg_sq"):
            assert torch.equal(other_optimizer.state[a][key], optimizer.state[b][key])


def test_a_folder_is_checked_for_writing_before_the_work(tmp_path):
    check_writable(tmp_path / "not" / "yet")
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        for check in (check_writable, check_new_folder):
            with pytest.raises(
                CondetrError, match=r"file(/below)?: cannot be written \(Not a directory\)\. Choose ano|not emp"
            ):
                check(folder)
    with pytest.raises(CondetrError, match=r"\(File name too long\)\. Choose a shorter name$"):
        write_text(tmp_path / ("a" * 300), "")


def test_the_newest_two_states_are_kept(tmp_path):
    for total in (1, 2, 3):
        write(tmp_path, total)
    assert [file.name for file in state.files(tmp_path)] == [f"step-{n:09d}.safetensors" for n in (2, 3)]


def test_an_incomplete_state_is_reported_with_the_one_before_it(tmp_path):
    write(tmp_path, 1)
    write(tmp_path, 2)
    newest = state.files(tmp_path)[-1]
    for length in (0, 5, 100, newest.stat().st_size - 1):
        newest.write_bytes(newest.read_bytes()[:length] if length < newest.stat().st_size else b"")
        with pytest.raises(CondetrError, match=r"step-000000002.*Remove it to resume from step-000000001") as caught:
            state.read(newest, *trained(0), torch.device("cpu"))
        assert "\n" not in str(caught.value)
        write(tmp_path, 2)


def test_a_full_disk_leaves_the_state_before_intact(tmp_path, monkeypatch):
    write(tmp_path, 1)
    before = state.files(tmp_path)[0].read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    write_text(tmp_path / "kept", "")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CondetrError, match=r"the disk is full\. Free some space and run again$"):
        write(tmp_path, 2)
    with pytest.raises(CondetrError, match=r"kept: the disk is full\. .* again; the previous file is intact$"):
        write_text(tmp_path / "kept", "new")
    (tmp_path / "kept").unlink()
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["step-000000001.safetensors"]
    assert state.files(tmp_path)[0].read_bytes() == before


def test_the_journal_is_truncated_to_the_length_in_the_state(tmp_path):
    file = tmp_path / "journal.jsonl"
    journal = Journal(file, 0)
    journal.write("epoch", {"epoch": 1, "ap": 0.5})
    length = journal.length
    journal.write("epoch", {"epoch": 2})
    file.write_bytes(file.read_bytes() + b'{"half a li')
    again = Journal(file, length)
    again.write("epoch", {"epoch": 2, "ap": 0.6})
    assert [row["epoch"] for row in again.read("epoch")] == [1, 2]
    with pytest.raises(CondetrError, match="Restore the complete file"):
        Journal(file, 10_000)
    write_csv(tmp_path / "metrics.csv", again.read("epoch"))
    assert (tmp_path / "metrics.csv").read_text() == "epoch,ap\n1,0.5\n2,0.6\n"


def test_a_full_disk_is_named_where_a_folder_is_locked(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CondetrError, match=r"\.lock-holder: cannot be written \(No space left"), locked(tmp_path):
        pass
    monkeypatch.undo()
    with locked(tmp_path):  # it has been released
        pass


def test_a_folder_is_locked_by_one_live_process(tmp_path):
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom condetr.engine.lock import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(CondetrError, match=f"in use by process {holder.pid} "), locked(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with locked(tmp_path):  # the lock of a dead process is released
        pass


@pytest.mark.parametrize("notify", [None, lambda number, times: None])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_recorded_and_ctrl_c_after_it_acts(interruptible, number, notify):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with deferred_signals(notify) as interrupt:
        assert interrupt.number == 0
        os.kill(os.getpid(), number)
        assert interrupt.number == number
        time.sleep(REPEATED)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize("notify", [None, lambda number, times: None])
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_signals_that_programs_send_again_are_no_new_requests(interruptible, first, notify):
    """`timeout` sends its signal twice within a millisecond, torchrun SIGTERM some time after the terminal's SIGINT."""
    with deferred_signals(notify) as interrupt:
        for number in (first, first, signal.SIGTERM):
            os.kill(os.getpid(), number)
        time.sleep(REPEATED)
        os.kill(os.getpid(), signal.SIGTERM)
        assert (interrupt.number, interrupt.times) == (first, 1)


def test_signals_are_reported_at_once_also_during_a_long_operation():
    """A hash of many rounds stands for a step of torch: Python runs no handler before it has ended."""
    script = (
        "import hashlib, os\nfrom condetr.engine.interrupt import deferred_signals\n"
        "def notify(number, times):\n    print(number, times, flush=True)\n    times > 1 and os._exit(3)\n"
        "with deferred_signals(notify):\n    print('begun', flush=True)\n"
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 2_000_000_000)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    for expected in ("2 1\n", "2 2\n"):
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == expected
        time.sleep(REPEATED)
    assert process.wait(timeout=20) == 3


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_a_second_signal_that_comes_before_the_first_is_handled_acts_too(interruptible, seconds):
    """Also if it comes while the first is still being reported."""
    reported = [threading.Event(), threading.Event()]

    def report(number, times):
        if times < 3:
            reported[times - 1].set()
        time.sleep(seconds)

    def send():
        time.sleep(0.02)  # until the operation has begun
        for event in reported:
            os.kill(os.getpid(), signal.SIGINT)
            event.wait(timeout=10)
            time.sleep(REPEATED)

    def interrupted_twice_in_one_operation():
        with deferred_signals(report):
            sender = threading.Thread(target=send)
            sender.start()
            hashlib.pbkdf2_hmac("sha256", b"", b"", 1_500_000)  # half a second
            sender.join()  # on a busy machine, the second signal may come later than that

    with pytest.raises(KeyboardInterrupt):
        interrupted_twice_in_one_operation()


def test_a_closed_terminal_stops_once_however_often_it_is_reported(interruptible, hangup_as_usual):
    """The system and the shell both send SIGHUP; after `nohup` it is ignored."""
    told = []
    with deferred_signals(lambda *seen: told.append(seen)) as interrupt:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
        assert interrupt.number == signal.SIGHUP
    assert told == [(signal.SIGHUP, 1)]
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with deferred_signals() as interrupt:
        os.kill(os.getpid(), signal.SIGHUP)
    assert interrupt.number == 0


def test_other_threads_leave_the_signal_handlers_alone():
    seen = []

    def run():
        with deferred_signals() as interrupt:
            seen.append(interrupt.number)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [0]


def test_a_failing_tracker_is_disabled_with_one_line(tmp_path, monkeypatch):
    class Failing(Tracker):
        def __init__(self, folder, settings):
            self.calls = 0

        def log(self, step, values):
            raise RuntimeError("no connection\nand more")

        def close(self):
            raise AssertionError("a disabled tracker is not closed")

    def missing(folder, settings):
        raise ImportError("mlflow")

    monkeypatch.setitem(TRACKERS, "wandb", Failing)
    monkeypatch.setitem(TRACKERS, "mlflow", missing)
    lines = []
    trackers = Trackers(("wandb", "mlflow"), tmp_path, {}, lines.append)
    trackers.log(1, {"loss": 1.0})
    trackers.log(2, {"loss": 1.0})
    trackers.close()
    assert lines == [
        "mlflow is not installed and records nothing. Install it: pip install 'condetr[mlflow]'",
        "wandb failed and records nothing more (no connection)",
    ]
    with pytest.raises(CondetrError, match="There are tensorboard"):
        check_names(("comet",))


def test_the_package_imports_and_locks_without_unix_modules(tmp_path):
    """On Windows there is no fcntl and no resource; os has neither uname nor sysconf."""
    code = (
        "import sys, os, pathlib\n"
        "sys.modules['resource'] = None\n"
        "for name in ('uname', 'sysconf'):\n    vars(os).pop(name, None)\n"
        "sys.platform = 'other'\n"
        "from condetr.engine.memory import release_memory, resident_memory\n"
        "from condetr.engine.lock import locked\n"
        "assert 'fcntl' not in open(sys.modules['condetr.engine.lock'].__file__).read()\n"
        "release_memory()\n"
        "assert resident_memory() == 0\n"
        "with locked(pathlib.Path(sys.argv[1])):\n    pass\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=True)


def test_paths_in_messages_can_be_typed_as_they_stand():
    assert [quoted(path) for path in ("a/b.pth", Path("my weights"), "-x", "it's", b"a b")] == [
        "a/b.pth", "'my weights'", "./-x", "'it'\"'\"'s'", "'a b'"
    ]  # fmt: skip


def test_a_file_has_the_permissions_of_a_new_one_and_the_umask_is_never_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It belongs to the whole process: another thread could create a file that anyone may write."""

    def refuse(_: int) -> int:
        raise AssertionError("the umask is changed")

    (tmp_path / "new").touch()
    monkeypatch.setattr(os, "umask", refuse)
    write_text(tmp_path / "written", "text")
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "new").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "written"]
