"""SIGTERM, Ctrl-C and a closed terminal as a request to stop at the next point where the state can be saved."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

HANGUP: int = getattr(signal, "SIGHUP", 0)  # the terminal was closed; 0 on Windows, which has no such signal
SIGNALS = (signal.SIGTERM, signal.SIGINT, *filter(None, [HANGUP]))
MARK = 255  # no signal's number
REPEATED = 0.2  # seconds
Notify = Callable[[int, int], None]


class Interrupt:
    """`number` is the signal that was received, 0 before any. `times` counts the requests to stop."""

    def __init__(self) -> None:
        self.number = 0
        self.times = 0
        self._latest = float("-inf")

    def is_request(self, number: int) -> bool:
        """Whether this signal is a request of its own, which is then counted.

        Programs send a signal several times: `timeout` to the process and to its group, the system and the shell both
        SIGHUP, and torchrun SIGTERM after the Ctrl-C that the terminal sent. So a signal that follows another one
        within `REPEATED` seconds is no new request, and neither are SIGTERM and SIGHUP after another signal: who is
        impatient presses Ctrl-C or sends SIGKILL.
        """
        now = time.monotonic()
        repeated, self._latest = now - self._latest < REPEATED, now
        if self.times and (repeated or number != signal.SIGINT):
            return False
        self.number = number
        self.times += 1
        return True


@contextmanager
def deferred_signals(notify: Notify | None = None) -> Iterator[Interrupt]:
    """While the block runs, the first signal is only recorded; Ctrl-C after it has its usual effect. After `nohup`,
    which ignores SIGHUP, it stays ignored.

    `notify(number, times)` is called at once for each request to stop, from another thread: Python itself runs no
    handler before an operation of torch has ended, which may take a minute. Outside the main thread, where Python
    receives no signals, nothing changes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.getsignal(signal.SIGINT)
    with _watched(interrupt, notify) as counted:

        def record(number: int, frame: FrameType | None) -> None:
            if notify is None:
                interrupt.is_request(number)
            counted()
            interrupt.number = interrupt.number or number
            if interrupt.times > 1:  # the second one may have come before Python could handle the first
                signal.signal(signal.SIGINT, before)
                signal.raise_signal(signal.SIGINT)

        with handling([number for number in SIGNALS if number != HANGUP or not ignored(number)], record):
            yield interrupt


def ignored(number: int) -> bool:
    """Whether this process ignores a signal: SIGHUP after `nohup`, SIGINT in the background of a script."""
    return signal.getsignal(number) == signal.SIG_IGN


@contextmanager
def handling(numbers: Sequence[int], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """While the block runs, `handler` handles these signals. Only in the main thread."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, signal.SIG_DFL if usual is None else usual)


@contextmanager
def _watched(interrupt: Interrupt, notify: Notify | None) -> Iterator[Callable[[], None]]:
    """Count the signals and report them while the block runs, in a thread that reads their numbers from a socket.

    Yields a function that returns once all signals that have arrived are counted, or after a second.
    """
    if notify is None:
        yield lambda: None
        return
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    marked = threading.Event()

    def count() -> None:
        marked.clear()
        with suppress(BlockingIOError):  # the socket is full of signals
            sender.send(bytes([MARK]))
            marked.wait(timeout=1)

    def watch() -> None:
        while number := int.from_bytes(receiver.recv(1)):  # 0 at the end
            if number == MARK:
                marked.set()
            elif number in SIGNALS and interrupt.is_request(number):
                notify(number, interrupt.times)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    previous = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    try:
        yield count
    finally:
        signal.set_wakeup_fd(previous)
        sender.close()
        if watcher is not threading.current_thread():
            watcher.join(timeout=1)
        receiver.close()
