"""Frames of a video to label: spread evenly over its time, and none nearly the same as another."""

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ..arguments import check_flags, check_progress, path_of, whole_number
from ..errors import CondetrError
from ..files import check_writable, safe_name, write_bytes
from ..images.decode import Pixels
from ..shapes import Int
from ..videos.frames import Video
from ..videos.sources import source_of
from ..videos.times import Position

SIDE = 32  # of a thumbnail, in pixels
DIFFERENT = 12  # grey levels: two frames differ if one pixel of their thumbnails differs by more
TRIES = 8  # moments of each stretch at which a frame that differs is looked for
Progress = Callable[[int, int], None]


def sample(
    video: str | os.PathLike[str] | int, count: int = 50, out: str | os.PathLike[str] = "frames", *,
    start: Position = None, end: Position = None, overwrite: bool = False, progress: Progress | None = None,
) -> list[Path]:  # fmt: skip
    """Write about `count` frames of a video to the folder `out`, as JPEG files, to label them. Returns their paths.

    The time from `start` to `end` is divided into `count` equal stretches, and of each the first frame is written that
    differs from all written before: two frames are the same if no pixel of their grey 32 x 32 thumbnails differs by
    more than 12 of 255 levels. So fewer are written of a video in which little happens. Frames are upright; a name
    ends in the number of the frame in the video. A camera or stream needs `end`.

    Raises CondetrError for a video that cannot be read, and, without `overwrite`, where `out` has frames of a video of
    that name. `progress` is called with the number of stretches done and `count`.
    """
    check_progress(progress)
    check_flags(overwrite=overwrite)
    opened = Video(source_of(video), start=start, end=end)
    return sample_video(opened, count, path_of(out, "out"), overwrite, progress)


def sample_video(video: Video, count: int, out: Path, overwrite: bool, progress: Progress | None) -> list[Path]:
    """As `sample`, for a video that is open."""
    count = whole_number(count, "count", 1)
    stem = safe_name(video.source.stem)
    _refuse_written(out, stem, overwrite)
    check_writable(out)
    stretches = _Stretches(video.start, _length(video) / count, count)
    seen = np.zeros((0, SIDE * SIDE), np.int16)
    written: list[Path] = []
    for frame in video.frames(stretches.due):
        thumbnail = _thumbnail(frame.image)
        if not len(seen) or np.abs(seen - thumbnail).max(1).min() > DIFFERENT:
            seen = np.concatenate([seen, thumbnail[None]])
            path = out / f"{stem}-{frame.number:06d}.jpg"
            write_bytes(path, _jpeg(frame.image))
            written.append(path)
            stretches.taken = True
        if progress is not None:
            progress(stretches.number + 1, count)
    return written


class _Stretches:
    """Which moments of a video are looked at: a few in each of `count` stretches of `step` seconds, until one is
    `taken`."""

    def __init__(self, start: float, step: float, count: int) -> None:
        self._start, self._step, self._count = start, step, count
        self._next = start
        self.number, self.taken = 0, False

    def due(self, time: float) -> bool:
        number = min(int((time - self._start) / self._step), self._count - 1)
        if number > self.number:
            self.number, self.taken = number, False
            self._next = self._start + number * self._step
        if self.taken or time < self._next:
            return False
        self._next = max(self._next + self._step / TRIES, time)
        return True


def _length(video: Video) -> float:
    """Seconds from the start to the end of what is sampled. Raises CondetrError where that is not known."""
    end = video.end
    if video.live and end is None:
        raise CondetrError(f"{video.name}: a camera or stream has no end. Give `end` in seconds")
    if not video.live:
        last = video.length()
        end = last if end is None else min(end, last)
    assert end is not None
    if end <= video.start:
        raise CondetrError(f"{video.name}: no frames from {video.start:g} s on, it is {end:.2f} s long")
    return end - video.start


def _refuse_written(out: Path, stem: str, overwrite: bool) -> None:
    pattern = re.compile(re.escape(stem) + r"-\d{6,}\.jpg", re.IGNORECASE)
    if overwrite or not out.is_dir():
        return
    there = sorted(path.name for path in out.iterdir() if pattern.fullmatch(path.name))
    if there:
        raise CondetrError(
            f"{out}: has frames of {stem} already ({len(there)}, such as {there[0]}). Give another `out`, or "
            "`overwrite`, which replaces those that are chosen again and keeps the others"
        )


def _thumbnail(image: Pixels) -> Int[np.ndarray, " N"]:
    grey = Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(grey, np.int16).reshape(-1)


def _jpeg(image: Pixels) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=95, subsampling=0)
    return content.getvalue()
