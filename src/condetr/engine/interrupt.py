"""SIGTERM and Ctrl-C as a request to stop at the next point where the state can be saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupt:
    """`number` is the signal that was received, 0 before any."""

    number = 0


@contextmanager
def deferred_signals() -> Iterator[Interrupt]:
    """While the block runs, the first signal is only recorded; a second one has its usual effect.

    Outside the main thread, where Python receives no signals, nothing changes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def record(number: int, frame: FrameType | None) -> None:
        interrupt.number = number
        _restore(before)

    for number in SIGNALS:
        signal.signal(number, record)
    try:
        yield interrupt
    finally:
        _restore(before)


def _restore(before: dict) -> None:
    for number, handler in before.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
