"""Runs side by side, each in a process of its own: begun, followed, stopped together, and taken up again."""

import json
import multiprocessing
import os
import shutil
import signal
import time
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
from ..training.plan import count
from ..training.progress import Epoch, Event
from ..training.run_folder import fingerprint
from ..training.train import train
from .curve import Point
from .study import RESULT, Outcome, Run

GLANCE = 0.5  # seconds between two looks at whether anybody wants to stop


@dataclass(frozen=True, slots=True)
class Advanced:
    """A run has finished an epoch."""

    run: Run
    epoch: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A run is over: `problem` is None, or why it could not finish, in one line."""

    run: Run
    seconds: float
    problem: str | None


Told = Callable[[Advanced | Ended], None]
May = Callable[[Run], bool]


def run_all(
    runs: Sequence[Run], dataset: DataSet, devices: Sequence[str], jobs: int, interrupt: Interrupt, tell: Told, may: May
) -> None:
    """Do the runs, `jobs` at a time, on the devices in turn; `may` is asked before each whether it is still to begin.

    On an interrupt all are asked to save where they stand; a run that fails does not stop the others.
    """
    waiting, live = list(runs), dict[int, tuple[Run, BaseProcess, Connection, float]]()
    threads = max(1, torch.get_num_threads() // jobs)
    asked = False
    while waiting or live:
        while waiting and len(live) < jobs and not interrupt.number:
            slot = next(i for i in range(jobs) if i not in live)
            run = waiting.pop(0)
            if may(run):
                live[slot] = _begun(run, dataset, devices[slot % len(devices)], threads, jobs)
        if interrupt.number:
            waiting.clear()
            for _, process, _, _ in live.values() if not asked else ():
                process.terminate()  # SIGTERM: a training saves its state and ends
            asked = True
        wait([connection for _, _, connection, _ in live.values()], GLANCE)
        for slot in list(live):
            if _heard(*live[slot], tell):
                live.pop(slot)


def _begun(
    run: Run, dataset: DataSet, device: str, threads: int, jobs: int
) -> tuple[Run, BaseProcess, Connection, float]:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")  # a fork would share CUDA and threads
    arguments = (run, dataset, device, threads, jobs, os.getpid(), theirs)
    process = context.Process(target=_work, args=arguments, name=run.name)
    resource_tracker.ensure_running()  # before the mask is set: where it is started, it unblocks SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()  # with SIGINT blocked, as Ctrl-C comes to the whole group until `_work` has left it
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return run, process, ours, time.monotonic()


def _heard(run: Run, process: BaseProcess, connection: Connection, started: float, tell: Told) -> bool:
    """Pass on what the run has said; whether it is over."""
    while connection.poll():
        try:
            said = connection.recv()
        except EOFError:  # it ended without a word, as a killed process does
            process.join()
            said = f"its process ended ({_ending(process.exitcode or 0)})"
        if isinstance(said, int):
            tell(Advanced(run, said))
            continue
        process.join()
        connection.close()
        tell(Ended(run, time.monotonic() - started, said))
        return True
    return False


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}; out of memory?" if code < 0 else f"exit status {code}"


def _work(
    run: Run, dataset: DataSet, device: str, threads: int, jobs: int, parent: int, connection: Connection
) -> None:
    """In the process of a run. Says the number of each finished epoch, and at the end None or what went wrong."""
    os.setpgrp()  # signals to the group are for the parent, which asks each run once: a second one would kill
    torch.set_num_threads(threads)

    def progress(event: Event) -> None:
        if os.getppid() != parent:  # nobody is left to stop us
            os.kill(os.getpid(), signal.SIGTERM)
        if isinstance(event, Epoch):
            connection.send(event.epoch)

    with closing(connection):
        try:
            result = train(
                dataset, run.folder, run.config, resume=True, device=device, progress=progress, cache_shares=jobs
            )
            _conclude(run, dataset, device, result.epochs)
            connection.send(None)
        except CondetrError as error:
            connection.send(str(error))


def _conclude(run: Run, dataset: DataSet, device: str, epochs: Sequence[Epoch]) -> None:
    """Evaluate the last weights once more, for the interval; keep the outcome, and drop the state, which is large."""
    weights = load(run.folder / "last", device)
    parameters = count(weights.detector)
    predictor = Predictor(weights, torch.device(device))
    found = evaluate_samples(predictor, dataset.split("valid"), dataset.categories).metrics().bootstrap.ap
    images, clock = len(dataset.split("train")), accumulate(epoch.seconds for epoch in epochs)
    points = tuple(
        Point(epoch.epoch, epoch.epoch * images, round(seconds, 3), epoch.ap, epoch.ap50 or 0.0)
        for epoch, seconds in zip(epochs, clock)
        if epoch.ap is not None
    )
    if not points:
        raise CondetrError("nothing is labelled in 'valid': there is no AP to compare")
    outcome = Outcome(fingerprint(dataset), points, (found.low, found.high), parameters)
    write_text(run.folder / RESULT, json.dumps(asdict(outcome)) + "\n")
    shutil.rmtree(run.folder / "state", ignore_errors=True)
