"""Real processes, killed with SIGKILL at random moments: each image still has exactly one row, and the same one."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from glob import glob
from pathlib import Path

import pytest

from condetr.bulk_predicting.bulk import bulk
from condetr.bulk_predicting.images import local_image
from condetr.bulk_predicting.rows import counted
from condetr.bulk_predicting.run import predicted
from condetr.bulk_predicting.task import Task
from condetr.bulk_predicting.workers import LocalWorker, WorkerDied
from condetr.predicting.with_hash import load_with_hash
from tests.bulk_predicting.small import contents, rows_of, write_images, write_weights

pytest.importorskip("pyarrow")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")]

KILLS = 20


def command(folder: Path, *options: str) -> Sequence[str]:
    return [sys.executable, "-m", "condetr", "bulk", str(folder / "images"), "--weights", str(folder / "weights"),
            "--out", str(folder / "out"), "--threshold", "0.005", "--workers", "2", *options]  # fmt: skip


def children(process: int) -> list[int]:
    found: list[int] = []
    for file in glob(f"/proc/{process}/task/*/children"):
        with suppress(OSError):
            found += map(int, Path(file).read_text().split())
    return found


def ended(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def shards(folder: Path) -> list[Path]:
    return sorted((folder / "out").glob("shard-*.parquet"))


def wait(process: subprocess.Popen, folder: Path, chance: random.Random) -> None:
    """Until some more shards are finished, or for a moment, in which the process starts."""
    until = time.monotonic() + (120 if chance.random() < 0.7 else chance.uniform(0, 4))
    goal = min(60, len(shards(folder)) + chance.randint(1, 5))
    while len(shards(folder)) < goal and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)


@pytest.mark.longest
def test_twenty_random_kills_leave_one_row_for_each_image(tmp_path: Path):
    write_images(tmp_path / "images", 600)
    write_weights(tmp_path / "weights")
    whole = bulk(tmp_path / "images", tmp_path / "weights", tmp_path / "whole", threshold=0.005, workers=1)
    assert (whole.images, whole.failed) == (600, 0)
    chance = random.Random(0)
    kills = {"command": 0, "worker": 0}
    workers: list[int] = []
    process = None
    while sum(kills.values()) < KILLS:
        if process is None or process.poll() is not None:
            assert process is None or process.returncode in (0, -signal.SIGKILL)
            if process is not None and process.returncode == 0:  # finished before the last kill: a part is done again
                for file in chance.sample(shards(tmp_path), 40):
                    file.unlink()
            process = subprocess.Popen(command(tmp_path), stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        wait(process, tmp_path, chance)
        workers += children(process.pid)
        if process.poll() is None and chance.random() < 0.5:
            process.kill()
            process.communicate()
            kills["command"] += 1
        elif alive := children(process.pid):
            with suppress(ProcessLookupError):
                os.kill(chance.choice(alive), signal.SIGKILL)
                kills["worker"] += 1
    if process is not None and process.poll() is None:
        process.communicate(timeout=300)
    until = time.monotonic() + 20
    while not all(ended(worker) for worker in workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert all(ended(worker) for worker in workers)  # those of a killed command, too
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert min(kills.values()) > 3
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    names = [row["image"] for row in rows_of(tmp_path / "out")]
    assert names == [str(tmp_path / "images" / f"{number:04d}.png") for number in range(600)]
    assert all(row["error"] is None for row in rows_of(tmp_path / "out"))


def test_ctrl_c_ends_the_command_and_its_workers_in_one_line(tmp_path: Path):
    write_images(tmp_path / "images", 3000)
    write_weights(tmp_path / "weights")
    process = subprocess.Popen(command(tmp_path), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 300
    while not shards(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "of 3,000 images are done. The same command continues from there" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert len(workers) == 2
    assert all(ended(worker) for worker in workers)


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path):
    images = [local_image(str(path), 0) for path in sorted(write_images(tmp_path / "images", 4).iterdir())]
    weights = str(write_weights(tmp_path / "weights"))
    _, hash = load_with_hash(weights, "cpu", None)
    worker = LocalWorker(Task(weights, hash, "cpu", None, "fp32", 0.0, None, 100, False, 4, (str(tmp_path),), 1))
    try:
        content = worker.predict(images)
        assert counted(content) == (4, 0)
        assert worker.process is not None
        worker.process.kill()
        with pytest.raises(WorkerDied):
            worker.predict(images)
        assert predicted(worker, images) == content
    finally:
        worker.close()
    with pytest.raises(WorkerDied):
        predicted(worker, images)
