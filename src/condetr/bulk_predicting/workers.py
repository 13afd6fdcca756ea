"""Workers: each predicts shards in a process of its own, on this machine or elsewhere, and may die at any moment."""

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

from ..errors import CondetrError
from .images import Image
from .task import Task

LOADS = 10  # deaths in a row while the weights are loaded, after which a worker gives up


class WorkerDied(Exception):
    """The process ended before it replied."""


class Worker(ABC):
    """One process at a time. After WorkerDied, the next call starts another one, until the worker is closed."""

    closed = False

    @abstractmethod
    def start(self) -> None:
        """Start the process and load the weights. Raises WorkerDied, or CondetrError if the weights cannot be used."""

    @abstractmethod
    def call(self, images: Sequence[Image]) -> bytes:
        """The rows of the images, see `Shards.predict`. Raises WorkerDied."""

    @abstractmethod
    def stop(self) -> None:
        """End the process, whatever it is doing. It may be called from another thread."""

    @property
    @abstractmethod
    def running(self) -> bool: ...

    def close(self) -> None:
        """End the process for good."""
        self.closed = True
        self.stop()

    def predict(self, images: Sequence[Image]) -> bytes:
        """As `call`, but starts a process if none is running."""
        for _ in range(LOADS):
            if self.running:
                return self.call(images)
            if self.closed:
                raise WorkerDied
            try:
                self.start()
            except WorkerDied:
                self.stop()
            if self.closed:  # meanwhile, by another thread
                self.stop()
        raise CondetrError(
            f"a worker process ended {LOADS} times while it loaded the weights. If memory is short, use fewer `workers`"
        )


class LocalWorker(Worker):
    """A process on this machine, which runs `process.main`."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self.process is not None

    def start(self) -> None:
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)  # it imports the same modules as this process
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "condetr.bulk_predicting.process"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": paths}, start_new_session=True,
        )  # fmt: skip
        self._ask(asdict(self.task))

    def call(self, images: Sequence[Image]) -> bytes:
        return self._ask([(image.name, image.location, image.source) for image in images])

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # of a write that the process did not read
                    if pipe is not None:
                        pipe.close()

    def _ask(self, values: object) -> bytes:
        process = self.process
        if process is None or process.stdin is None or process.stdout is None:
            raise WorkerDied
        try:
            process.stdin.write(json.dumps(values).encode() + b"\n")
            process.stdin.flush()
            header = json.loads(process.stdout.readline() or b"{}")
            content = process.stdout.read(header.get("size", 0))
        except (OSError, ValueError):  # a broken pipe, a cut line
            header, content = {}, b""
        if "error" in header:
            self.stop()
            raise CondetrError(str(header["error"]))
        if len(content) != header.get("size", -1):
            self.stop()
            raise WorkerDied
        return content
