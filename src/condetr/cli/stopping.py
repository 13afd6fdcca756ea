"""Ctrl-C, SIGTERM and SIGHUP: a command ends with one line and the exit status of the signal, 130, 143 or 129."""

import os
import signal
import threading
from types import FrameType
from typing import NoReturn

from rich.console import Console

from ..engine.interrupt import HANGUP
from .streams import abandon_terminal, message


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP. Commands that keep what they have when Ctrl-C comes do the same for it."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.number = number


def listen() -> None:
    """From now on SIGTERM and SIGHUP raise Terminated in the main thread, as Ctrl-C raises KeyboardInterrupt.

    After `nohup`, which ignores SIGHUP, it stays ignored.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
        if HANGUP and signal.getsignal(HANGUP) != signal.SIG_IGN:
            signal.signal(HANGUP, _hang_up)


def leave_at_once(number: int, line: str) -> NoReturn:
    """Leave the process after a signal without cleaning up, from any thread: the main one may be in a long step."""
    Console(stderr=True).show_cursor()  # a live table hides it
    message(line)
    os._exit(128 + number)


def status_of(interrupt: KeyboardInterrupt) -> int:
    """The exit status that shells expect: 128 and the number of the signal."""
    return 128 + (interrupt.number if isinstance(interrupt, Terminated) else signal.SIGINT)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(number)


def _hang_up(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # it comes twice, from the system and from the shell
    abandon_terminal()
    raise Terminated(number)
