"""Ctrl-C and SIGTERM: a command ends with one line and the exit status of the signal, 130 or 143."""

import os
import signal
import threading
from types import FrameType
from typing import NoReturn

from rich.console import Console

from .streams import message


class Terminated(KeyboardInterrupt):
    """SIGTERM. Commands that keep what they have when Ctrl-C comes do the same for it."""


def listen() -> None:
    """From now on SIGTERM raises Terminated in the main thread, as Ctrl-C raises KeyboardInterrupt."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)


def leave_at_once(number: int, line: str) -> NoReturn:
    """Leave the process after a signal without cleaning up, from any thread: the main one may be in a long step."""
    Console(stderr=True).show_cursor()  # a live table hides it
    message(line)
    os._exit(128 + number)


def status_of(interrupt: KeyboardInterrupt) -> int:
    """The exit status that shells expect: 128 and the number of the signal."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
