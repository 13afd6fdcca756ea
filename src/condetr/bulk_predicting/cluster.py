"""Workers on a Ray cluster. Ray is started or joined for the time of a run, and reports nothing to anybody."""

import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

from ..errors import CondetrError, first_line
from ..extras import imported
from .images import Image
from .task import Shards, Task
from .workers import Worker, WorkerDied

STORE = 128 * 2**20  # bytes of memory for objects of a Ray that is started here: replies are small
REACHABLE = 10.0  # seconds to connect to a cluster's address
LOCAL = "local"  # the address that starts a Ray of its own on this machine


class Actor:
    """What runs in a worker process of Ray."""

    def load(self, task: Task) -> None:
        self.shards = Shards(task)

    def predict(self, images: Sequence[Image]) -> bytes:
        return self.shards.predict(images)


class RayWorker(Worker):
    """An actor in the cluster. Ray chooses its machine, and places another one after it, or its machine, has died."""

    def __init__(self, ray: ModuleType, task: Task, gpu: bool) -> None:
        self.ray, self.task = ray, task
        self.kind = ray.remote(
            num_cpus=task.threads, num_gpus=int(gpu), max_restarts=0, scheduling_strategy="SPREAD"
        )(Actor)  # fmt: skip
        self.actor: Any = None

    @property
    def running(self) -> bool:
        return self.actor is not None

    def start(self) -> None:
        self.actor = self.kind.remote()
        self._get(self.actor.load.remote(self.task))

    def call(self, images: Sequence[Image]) -> bytes:
        actor = self.actor
        if actor is None:
            raise WorkerDied
        return bytes(self._get(actor.predict.remote(list(images))))

    def stop(self) -> None:
        actor, self.actor = self.actor, None
        if actor is not None:
            with suppress(Exception):  # the actor, or Ray, has already ended
                self.ray.kill(actor)

    def _get(self, reference: Any) -> Any:
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, CondetrError):
                raise error.cause from None
            raise
        except self.ray.exceptions.RayError:
            raise WorkerDied from None


@contextmanager
def connected(address: str) -> Iterator[ModuleType]:
    """Ray, connected to a cluster: `auto`, `host:6379`, `ray://host:10001`, or `local`, one of its own on this machine.

    A connection that the calling program has made is used as it is. Raises CondetrError if there is no cluster.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = imported("ray", "bulk")
    if ray.is_initialized():
        yield ray
        return
    _check_reachable(address)
    own: dict[str, Any] = {"object_store_memory": STORE, "_node_ip_address": "127.0.0.1"} if address == LOCAL else {}
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, include_dashboard=False if own else None, log_to_driver=False,
                 logging_level="ERROR", **own)  # fmt: skip
    except Exception as error:  # Ray has no class of its own for a node that does not start
        raise CondetrError(f"no Ray cluster at the `address` {address} ({first_line(error)})") from None
    try:
        if in_main and before is not None:
            signal.signal(signal.SIGTERM, before)  # Ray has replaced it
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raises CondetrError if nothing listens at a `host:port`. Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHABLE).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise CondetrError(f"no Ray cluster at the `address` {address} ({first_line(error)})") from None


def resources(ray: ModuleType) -> list[tuple[str, int, int]]:
    """Name, CPUs and GPUs of each machine of the cluster."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    return sorted(
        (node["NodeManagerHostname"], int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
        for node in alive
    )
