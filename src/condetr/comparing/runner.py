"""Runs in processes of their own, several at a time: started, watched, interrupted together, and resumed."""

import json
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import accumulate
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

from ..checkpoint import load
from ..datasets.dataset import DataSet
from ..engine.interrupt import Interrupt
from ..errors import CondetrError
from ..evaluating.samples import evaluate_samples
from ..files import write_text
from ..predicting.predictor import Predictor
from ..training.data import fingerprint
from ..training.estimates import count_parameters
from ..training.progress import Epoch, Event
from ..training.train import train
from .learning_curve import Point
from .study import RESULT, Run, RunResult

POLL = 0.5  # seconds between two checks for an interrupt


@dataclass(frozen=True, slots=True)
class EpochDone:
    """A run has finished an epoch."""

    run: Run
    epoch: int


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run has ended. `problem` is None when it is finished, else the reason in one line."""

    run: Run
    seconds: float
    problem: str | None


Progress = Callable[[EpochDone | RunEnded], None]


def run_all(
    runs: Sequence[Run], dataset: DataSet, devices: Sequence[str], jobs: int, interrupt: Interrupt, progress: Progress,
    may_start: Callable[[Run], bool],
) -> None:  # fmt: skip
    """Train all runs, `jobs` at a time, on the devices in turn. A run is skipped when `may_start` is False for it.

    On an interrupt all running ones save their state and end. A run that fails does not stop the others.
    """
    waiting, live = list(runs), dict[int, tuple[Run, BaseProcess, Connection, float]]()
    threads = max(1, torch.get_num_threads() // jobs)
    terminated = False
    while waiting or live:
        while waiting and len(live) < jobs and not interrupt.number:
            slot = next(i for i in range(jobs) if i not in live)
            run = waiting.pop(0)
            if may_start(run):
                live[slot] = _start(run, dataset, devices[slot % len(devices)], threads, jobs)
        if interrupt.number:
            waiting.clear()
            for _, process, _, _ in live.values() if not terminated else ():
                _stop(process)
            terminated = True
        wait([connection for _, _, connection, _ in live.values()], POLL)
        for slot in list(live):
            if _poll(*live[slot], progress):
                live.pop(slot)


def _start(
    run: Run, dataset: DataSet, device: str, threads: int, jobs: int
) -> tuple[Run, BaseProcess, Connection, float]:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")  # a fork would share CUDA and threads
    arguments = (run, dataset, device, threads, jobs, os.getpid(), sender)
    process = context.Process(target=_work, args=arguments, name=run.name)
    _begin(process)
    sender.close()
    return run, process, receiver, time.monotonic()


def _begin(process: BaseProcess) -> None:
    """Start a process with SIGINT and SIGHUP blocked: they reach the whole process group until `_work` leaves it."""
    if sys.platform == "win32":  # no signal masks; see `_stop`
        process.start()
        return
    resource_tracker.ensure_running()  # before the mask is set: starting it unblocks SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(process: BaseProcess) -> None:
    """Ask a run to save its state and end, with SIGTERM. On Windows Ctrl-C reaches every process of the console, so the
    run saves its state without being asked, and terminating it would kill it."""
    if sys.platform != "win32":
        process.terminate()


def _poll(run: Run, process: BaseProcess, connection: Connection, started: float, progress: Progress) -> bool:
    """Report the messages of a run; True when it has ended."""
    while connection.poll():
        try:
            message = connection.recv()
        except EOFError:  # no last message: the process was killed
            process.join()
            message = f"its process ended ({_exit_text(process.exitcode or 0)})"
        if isinstance(message, int):
            progress(EpochDone(run, message))
            continue
        process.join()
        connection.close()
        progress(RunEnded(run, time.monotonic() - started, message))
        return True
    return False


def _exit_text(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}; out of memory?"
    return (
        f"exit status {code} before the training began. Each run is a process that imports the script: save it as a "
        "file, and call compare below `if __name__ == '__main__':`"
    )


def _work(
    run: Run, dataset: DataSet, device: str, threads: int, jobs: int, parent: int, connection: Connection
) -> None:
    """In the process of a run. Sends the number of each finished epoch, and at the end None or the error message."""
    if sys.platform != "win32":
        os.setpgrp()  # Ctrl-C is for the parent, which terminates each run once: a second signal would kill it
    torch.set_num_threads(threads)
    warnings.filterwarnings("ignore", module=r"PIL\.")  # in a process of its own, as the command line does
    logging.getLogger("PIL").addHandler(logging.NullHandler())

    def progress(event: Event) -> None:
        if os.getppid() != parent:  # the parent was killed
            signal.raise_signal(signal.SIGTERM)
        if isinstance(event, Epoch):
            connection.send(event.epoch)

    with closing(connection):
        try:
            result = train(
                dataset, run.config, out=run.folder, resume=True, device=device, progress=progress, cache_shares=jobs
            )
            _finish(run, dataset, device, result.epochs)
            connection.send(None)
        except CondetrError as error:
            connection.send(str(error))
        except Exception as error:
            connection.send(f"{type(error).__name__}: {error}")
            raise


def _finish(run: Run, dataset: DataSet, device: str, epochs: Sequence[Epoch]) -> None:
    """Evaluate the last weights for their bootstrap interval, write the result, and remove the large state."""
    weights = load(run.folder / "last", device)
    parameters = count_parameters(weights.detector)
    predictor = Predictor(weights, torch.device(device))
    ap = evaluate_samples(predictor, dataset.split("valid"), dataset.categories).metrics().bootstrap.ap
    images, clock = len(dataset.split("train")), accumulate(epoch.seconds for epoch in epochs)
    points = tuple(
        Point(epoch.epoch, epoch.epoch * images, round(seconds, 3), epoch.ap, epoch.ap50 or 0.0)
        for epoch, seconds in zip(epochs, clock)
        if epoch.ap is not None
    )
    if not points:
        raise CondetrError("the split 'valid' has no labelled object: there is no AP to compare")
    run_result = RunResult(fingerprint(dataset), points, (ap.low, ap.high), parameters)
    write_text(run.folder / RESULT, json.dumps(asdict(run_result)) + "\n")
    shutil.rmtree(run.folder / "state", ignore_errors=True)
