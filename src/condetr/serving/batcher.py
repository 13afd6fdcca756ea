"""Dynamic batching: images that wait at the same time go through the model together, in one thread or several."""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class _Job(Generic[Key, Item, Result]):
    key: Key
    item: Item
    future: "Future[Result]" = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class Batcher(Generic[Key, Item, Result]):
    """`run(key, items)` returns a result for each item; only items of the same key share a batch.

    `choose(key, items)` returns which of the waiting items go together, with the first, the oldest, among them, and
    `size(key)` how many can. A batch with room left waits at most `max_wait` seconds, counted from its oldest item. An
    item whose future is cancelled before its batch starts is dropped. `observe(key, number, seconds)` is called after
    each batch, in the thread that ran it. With several `threads`, as many batches run at the same time.
    """

    def __init__(
        self,
        run: Callable[[Key, list[Item]], Sequence[Result]],
        choose: Callable[[Key, list[Item]], list[int]],
        size: Callable[[Key], int],
        max_wait: float,
        observe: Callable[[Key, int, float], None],
        threads: int,
    ) -> None:
        self._run, self._choose, self._size, self._max_wait, self._observe = run, choose, size, max_wait, observe
        self._jobs: deque[_Job[Key, Item, Result]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._work, name=f"condetr-model_{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads) and not self._closing

    @property
    def broken(self) -> bool:
        """Whether a thread has ended although nobody closed the batcher."""
        return not all(thread.is_alive() for thread in self._threads) and not self._closing

    def submit(self, key: Key, item: Item) -> "Future[Result]":
        job: _Job[Key, Item, Result] = _Job(key, item)
        with self._changed:
            if self._closing:
                raise RuntimeError("the batcher is closed")
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Finish what was submitted, without waiting for batches to fill, and end the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while jobs := self._next():
            self._execute(jobs)

    def _next(self) -> list[_Job[Key, Item, Result]]:
        """The jobs of the next batch, of which none can be cancelled any more; empty at the end."""
        with self._changed:
            while True:
                self._drop_cancelled()
                if not self._jobs:
                    if self._closing:
                        return []
                    self._changed.wait()
                    continue
                first = self._jobs[0]
                batch = self._chosen(first.key)
                left = first.since + self._max_wait - time.monotonic()
                if len(batch) >= self._size(first.key) or left <= 0 or self._closing:
                    ready = [job for job in batch if job.future.set_running_or_notify_cancel()]
                    taken = set(map(id, batch))
                    self._jobs = deque(job for job in self._jobs if id(job) not in taken)
                    if self._jobs:  # of which another thread may be waiting for the time of those that are taken now
                        self._changed.notify()
                    if ready:
                        return ready
                else:
                    self._changed.wait(left)

    def _drop_cancelled(self) -> None:
        if any(job.future.cancelled() for job in self._jobs):
            self._jobs = deque(job for job in self._jobs if not job.future.cancelled())

    def _chosen(self, key: Key) -> list[_Job[Key, Item, Result]]:
        same = [job for job in self._jobs if job.key == key]
        return [same[i] for i in self._choose(key, [job.item for job in same])]

    def _execute(self, jobs: list[_Job[Key, Item, Result]]) -> None:
        """Where a batch fails, each of its items is run alone: one item cannot make others fail."""
        started = time.monotonic()
        try:
            results = self._run(jobs[0].key, [job.item for job in jobs])
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
                return
            for job in jobs:
                self._execute([job])
            return
        self._observe(jobs[0].key, len(jobs), time.monotonic() - started)
        for job, result in zip(jobs, results, strict=True):
            job.future.set_result(result)
