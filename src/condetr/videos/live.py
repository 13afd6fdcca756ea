"""A camera or stream: only its newest frame is kept, and a lost connection is opened again."""

import atexit
import threading
import time
from collections.abc import Callable, Iterator

from ..images.decode import Pixels
from ..plural import counted
from .capture import Capture, Frame
from .sources import VideoError, VideoSource

RETRIES = 5
FIRST_PAUSE = 1.0  # seconds before the first new attempt; doubled for each one after it
LONGEST_PAUSE = 30.0
WAKE = 0.2  # seconds after which a wait looks for Ctrl-C, which not every system delivers to a waiting thread
STOPPING = 2.0  # seconds that the end of the program waits for a frame that is being read
SILENCE = 30.0  # seconds without a frame after which a connection counts as lost, whatever the library says


class _Newest:
    """A thread that reads a capture and keeps the newest frame. It owns the capture and closes it when it ends.

    The program must not end while the thread is in OpenCV: Python would end the thread there, which C++ answers with an
    abort of the process (CPython issue 87135).
    """

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._changed = threading.Condition()
        self._frame: tuple[Pixels, int, float] | None = None
        self._count = 0
        self._ended = self._stopped = False
        self._thread = threading.Thread(target=self._read, name="condetr-video", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def take(self) -> tuple[Pixels, int, float] | None:
        """The newest frame that was not taken yet, how many were read before it, and when; None at the end."""
        until = time.monotonic() + SILENCE
        with self._changed:
            while self._frame is None and not self._ended and time.monotonic() < until:
                self._changed.wait(WAKE)
            frame, self._frame = self._frame, None
            return frame

    def stop(self) -> None:
        self._stopped = True
        self._thread.join(STOPPING)
        atexit.unregister(self.stop)

    def _read(self) -> None:
        try:
            while not self._stopped and self._capture.grab() is not None:
                now = time.monotonic()
                pixels = self._capture.pixels()
                with self._changed:
                    if pixels is not None:
                        self._frame = pixels, self._count, now
                    self._count += 1
                    self._changed.notify()
        finally:
            self._capture.close()
            with self._changed:
                self._ended = True
                self._changed.notify()


def live_frames(capture: Capture, retry: int, notify: Callable[[str], None]) -> Iterator[Frame]:
    """Frames as they arrive. Those that arrive while the caller is busy are skipped, but counted in the numbers.

    A lost connection is opened again, up to `retry` times in a row after increasing pauses; then VideoError is raised.
    `notify` is called with a message before each attempt.
    """
    source = capture.source
    started: float | None = None
    before, failures = 0, 0
    while True:
        newest, read = _Newest(capture), 0
        try:
            while (taken := newest.take()) is not None:
                pixels, number, now = taken
                started = now if started is None else started
                read, failures = number + 1, 0
                yield Frame(pixels, before + number, now - started)
        finally:
            newest.stop()
        before += read
        capture, failures = _again(source, failures, retry, notify)


def _again(source: VideoSource, failures: int, retry: int, notify: Callable[[str], None]) -> tuple[Capture, int]:
    """A new connection, and the number of attempts since the last frame."""
    while failures < retry:
        pause = min(FIRST_PAUSE * 2 ** min(failures, 9), LONGEST_PAUSE)  # 2 ** 1024 is no float
        failures += 1
        notify(f"connection lost; connecting again in {pause:g} s ({failures} of {retry})")
        _sleep(pause)
        try:
            return Capture(source), failures
        except VideoError:
            continue
    tried = f"{counted(retry, 'new attempt')} failed" if retry else "it is not opened again"
    raise VideoError(source.name, f"connection lost; {tried}")


def _sleep(seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, WAKE))
