"""Ctrl-C, SIGTERM and SIGHUP: a command ends with one line and the exit status of the signal, 130, 143 or 129."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from rich.console import Console

from ..engine.interrupt import HANGUP, REPEATED, SIGNALS, handling, ignored
from .streams import abandon_terminal, message


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP. Commands that keep what they have when Ctrl-C comes do the same for it."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.number = number


@contextmanager
def listening() -> Iterator[None]:
    """While the block runs, SIGTERM and SIGHUP raise Terminated in the main thread, as Ctrl-C raises KeyboardInterrupt.

    Another signal within `REPEATED` seconds, which programs such as `timeout` send, raises nothing: it would end the
    command in the middle of its last words. Signals that are ignored, as SIGHUP after `nohup`, stay ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    latest = float("-inf")

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal latest
        now = time.monotonic()
        repeated, latest = now - latest < REPEATED, now
        if number == HANGUP:
            signal.signal(number, signal.SIG_IGN)
            abandon_terminal()
        if not repeated:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    with handling([number for number in SIGNALS if not ignored(number)], stop):
        try:
            yield
        finally:
            time.sleep(max(0.0, latest + REPEATED - time.monotonic()))


def leave_at_once(number: int, line: str) -> NoReturn:
    """Leave the process after a signal without cleaning up, from any thread: the main one may be in a long step."""
    Console(stderr=True).show_cursor()  # a live table hides it
    message(line)
    os._exit(128 + number)


def status_of(interrupt: KeyboardInterrupt) -> int:
    """The exit status that shells expect: 128 and the number of the signal."""
    return 128 + (interrupt.number if isinstance(interrupt, Terminated) else signal.SIGINT)
