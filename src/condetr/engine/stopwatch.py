"""Where the time of a training goes: named parts of the code are timed, but only while a stopwatch runs."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

OTHER = "other"


class Stopwatch:
    """At every moment one part is running; `seconds` adds up the time of each.

    `clock` returns seconds. `synchronise` is called before it is read, to wait for a GPU.
    """

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, synchronise: Callable[[], None] = lambda: None
    ) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.clock, self.synchronise = clock, synchronise
        self.part, self.since = OTHER, clock()

    def start(self) -> None:
        """Go on; the time since the last switch does not count."""
        self.part, self.since = OTHER, self.clock()

    def switch(self, part: str) -> str:
        """End the running part and start another one; returns the part that has ended."""
        self.synchronise()
        now, ended = self.clock(), self.part
        self.seconds[ended] += now - self.since
        self.part, self.since = part, now
        return ended


_running: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)


@contextmanager
def measured_by(watch: Stopwatch) -> Iterator[None]:
    """While the block runs, parts are timed by `watch`."""
    watch.start()
    token = _running.set(watch)
    try:
        yield
    finally:
        watch.switch(OTHER)
        _running.reset(token)


def running() -> Stopwatch | None:
    """The stopwatch of this thread. Another thread has none: it is handed this one."""
    return _running.get()


def switch(part: str) -> str:
    """Start a part, if a stopwatch runs; returns the part that has ended."""
    watch = running()
    return watch.switch(part) if watch is not None else part


@contextmanager
def timed(part: str) -> Iterator[None]:
    """A part that lasts as long as the block; the part before it goes on afterwards."""
    before = switch(part)
    try:
        yield
    finally:
        switch(before)


def timed_items(part: str, items: Iterator[T]) -> Iterator[T]:
    """The items; what it takes to make each of them is timed as `part`."""
    while True:
        with timed(part):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
