"""SIGTERM and Ctrl-C as a wish to stop at the next good place."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupt:
    """`number` is the signal that came, 0 while none did."""

    number = 0


@contextmanager
def heeded() -> Iterator[Interrupt]:
    """While the block runs the first signal only asks; a second one acts as it always did.

    Outside the main thread, where Python hears no signals, nothing is changed.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def ask(number: int, frame: FrameType | None) -> None:
        interrupt.number = number
        _restore(before)

    for number in SIGNALS:
        signal.signal(number, ask)
    try:
        yield interrupt
    finally:
        _restore(before)


def _restore(before: dict) -> None:
    for number, handler in before.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
