"""SIGTERM, Ctrl-C and a closed terminal as a request to stop at the next point where the state can be saved."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

HANGUP: int = getattr(signal, "SIGHUP", 0)  # the terminal was closed; 0 on Windows, which has no such signal
SIGNALS = (signal.SIGTERM, signal.SIGINT, *filter(None, [HANGUP]))
MARK = 255  # no signal's number
Notify = Callable[[int, int], None]


class Interrupt:
    """`number` is the signal that was received, 0 before any; `times` counts them where somebody is notified."""

    number = 0
    times = 0


@contextmanager
def deferred_signals(notify: Notify | None = None) -> Iterator[Interrupt]:
    """While the block runs, the first signal is only recorded; a second one has its usual effect, except SIGHUP: nobody
    is impatient who closes a terminal, and it comes twice, from the system and from the shell. After `nohup`, which
    ignores SIGHUP, it stays ignored.

    `notify(number, times)` is called at once for each signal, from another thread: Python itself runs no handler before
    an operation of torch has ended, which may take a minute. Outside the main thread, where Python receives no signals,
    nothing changes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if HANGUP and before[HANGUP] == signal.SIG_IGN:
        del before[HANGUP]
    with _watched(interrupt, notify) as count:

        def record(number: int, frame: FrameType | None) -> None:
            interrupt.number = number
            _restore(before)
            if HANGUP in before:
                signal.signal(HANGUP, signal.SIG_IGN)
            count()
            if interrupt.times > 1 and number != HANGUP:  # the second one came before Python could handle the first
                signal.raise_signal(number)

        try:
            for number in before:
                signal.signal(number, record)
            yield interrupt
        finally:
            _restore(before)


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
        with suppress(BlockingIOError):  # the socket is full of signals
            sender.send(bytes([MARK]))
            marked.wait(timeout=1)

    def watch() -> None:
        while number := int.from_bytes(receiver.recv(1)):  # 0 at the end
            if number == MARK:
                marked.set()
            elif number in SIGNALS and not (number == HANGUP and interrupt.times):
                interrupt.times += 1
                interrupt.number = number
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


def _restore(before: dict) -> None:
    for number, handler in before.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
