"""The frames of a file, camera or stream, one at a time: all of them, every n-th, or a part."""

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from ..arguments import whole_number
from ..errors import CondetrError
from .capture import Capture, Frame
from .container import damage
from .live import RETRIES, live_frames
from .sources import VideoError, VideoSource, source_of
from .times import Position, seconds_of

EARLY = 0.0005  # seconds: time stamps are rounded to a millisecond


class Video:
    """An opened video. `frames()` reads it once, in constant memory.

    `rate` is in frames per second, `live` whether it is a camera or an endless stream, `expected` the number of frames
    that will come, as far as it is known. After the last frame, `cut` says where a damaged file ends.

    Raises VideoError for a video that cannot be opened, CondetrError for invalid arguments.
    """

    def __init__(
        self, source: VideoSource, every: int = 1, start: Position = None, end: Position = None, retry: int = RETRIES,
        notify: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self.source, self.name = source, source.name
        self.every, self.retry = whole_number(every, "every", 1), whole_number(retry, "retry", 0)
        self.start, self.end = seconds_of(start, "start") or 0.0, seconds_of(end, "end")
        if self.end is not None and self.end <= self.start:
            raise CondetrError(f"end {end}: must be later than start {start or 0}")
        self._notify = notify or self._warn
        self._capture = Capture(source)
        self.live, self.rate, self.cut = self._capture.live, self._capture.rate, ""

    @property
    def expected(self) -> int | None:
        """An estimate for a progress bar: it assumes a constant frame rate. None for an endless video."""
        if self._capture.count is None:
            return None
        last = self._capture.count if self.end is None else min(self._capture.count, round(self.end * self.rate))
        return max(0, -(-(last - round(self.start * self.rate)) // self.every))

    def length(self) -> float:
        """The length of a file in seconds, from its index, or by decoding the file if the index does not tell, as for
        unusual rates (a time lapse) and files that are cut short."""
        if self._capture.count is not None and self._capture.rate_declared and _damage(self.source) is None:
            return self._capture.count / self.rate
        counted, time, frames = Capture(self.source), 0.0, 0
        while (later := counted.grab()) is not None:
            time, frames = later, frames + 1
        counted.close()
        return time + (time / (frames - 1) if frames > 1 else 1 / self.rate)

    def frames(self, due: Callable[[float], bool] | None = None) -> Iterator[Frame]:
        """Every `every`-th frame, from the first one at or after `start` to the last one before `end`. With `due`, only
        those for whose time it returns True.

        Frames in between are decoded, because later ones depend on them, but not converted. Raises VideoError for a
        file without frames, or without any between `start` and `end`, and for a stream whose connection was lost and
        could not be opened again.
        """
        due = due or _always
        if self.live:
            return self._chosen(live_frames(self._capture, self.retry, self._notify), due)
        return self._of_file(due)

    def _chosen(self, frames: Iterator[Frame], wanted: Callable[[float], bool]) -> Iterator[Frame]:
        due = 0
        for frame in frames:
            if self.end is not None and frame.time >= self.end - EARLY:
                break
            if frame.time >= self.start - EARLY and frame.number >= due and wanted(frame.time):
                due = frame.number + self.every
                yield frame

    def _of_file(self, wanted: Callable[[float], bool]) -> Iterator[Frame]:
        number, due, time, last, found = 0, 0, 0.0, 0.0, False
        try:
            while (next_time := self._capture.grab()) is not None:
                last, time = time, next_time
                if self.end is not None and time >= self.end - EARLY:
                    if not found:
                        raise VideoError(self.name, self._none_until(number, last, time))
                    return
                if time >= self.start - EARLY and number >= due and wanted(time):
                    pixels = self._capture.pixels()
                    if pixels is not None:
                        due, found = number + self.every, True
                        yield Frame(pixels, number, time)
                number += 1
        finally:
            self._capture.close()
        self._at_the_end(number, time, found)

    def _none_until(self, number: int, last: float, time: float) -> str:
        """That no frame is before `end`, and where frame `number`, at `time`, and the one before it, at `last`, are."""
        there = (
            f"one is at {last:.2f} s, the next one at {time:.2f} s" if number else f"its first one is at {time:.2f} s"
        )
        return f"no frames from {self.start:g} s to {self.end:g} s: {there}"

    def _at_the_end(self, number: int, time: float, found: bool) -> None:
        reason = _damage(self.source)
        if not number:
            raise VideoError(self.name, reason or "no frames in it")
        if not found:
            raise VideoError(self.name, f"no frames from {self.start:g} s on, its last one is at {time:.2f} s")
        count = self._capture.count
        if reason is None and self.source.kind == "stream" and count is not None and number < 0.9 * count:
            reason = f"ended early, about {count} frames were expected"
        if reason is not None:
            self.cut = f"{reason}; frame {number - 1} at {time:.2f} s is the last"
            if self._notify == self._warn:
                self._warn(self.cut)

    def _warn(self, text: str) -> None:
        warnings.warn(f"{self.name}: {text}", UserWarning, stacklevel=2)


def video_frames(
    video: str | os.PathLike[str] | int, *, every: int = 1, start: Position = None,
    end: Position = None, retry: int = RETRIES,
) -> Iterator[Frame]:  # fmt: skip
    """The frames of a video file, camera or stream, one `Frame` (image, number, time) at a time, upright RGB.

    `video` is a path, `camera:0` (or 0), or an address (rtsp, http, …). `every` keeps each n-th frame; `start` and
    `end` are seconds or text such as "0:01:30". Memory does not grow with the length of the video. For a camera or
    stream, only the newest frame is kept, so that a slow loop does not lag behind; a lost connection is opened again,
    up to `retry` times in a row.

    Raises CondetrError at once for a video that cannot be opened; warns if a file is truncated.
    """
    return Video(source_of(video), every, start, end, retry).frames()


def _always(time: float) -> bool:
    return True


def _damage(source: VideoSource) -> str | None:
    try:
        return damage(source.location) if isinstance(source.location, Path) else None
    except OSError:
        return None
