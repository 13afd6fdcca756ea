"""One opened video: its frames one after the other, upright RGB, with their times."""

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..images.decode import Pixels
from ..shapes import UInt8
from .container import Matrix, damage, mirroring
from .opencv import opencv, quiet
from .sources import VideoError, VideoSource

TIMEOUT = 10_000  # milliseconds that a stream may take to connect, and to send its next frame
RATES = (0.1, 240.0)  # frames per second; others come from containers that have no constant rate
USUAL_RATE = 25.0
LISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD")  # of playlists, whose files FFmpeg would open


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """`image` is uint8 RGB (height, width, 3), upright; `number` counts the frames of the video from 0; `time` is the
    frame's time stamp in seconds, or, for a camera or stream, the seconds since its first frame."""

    image: Pixels
    number: int
    time: float


class Capture:
    """Reads a source in order. `grab` decodes the next frame, `pixels` converts the one that was grabbed.

    `rate` is in frames per second, `rate_declared` whether the container declares it, and `count` the number of frames
    that it declares, None for an endless one.
    Raises VideoError for a source that cannot be opened.
    """

    def __init__(self, source: VideoSource) -> None:
        self.source = source
        cv2 = self._cv2 = opencv()
        location = _readable(source)
        with quiet(cv2):
            if source.kind == "camera":
                self._capture = cv2.VideoCapture(location)
            else:  # FFmpeg only: other backends interpret a name as a pattern of numbered images, or as a pipeline
                limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT]
                self._capture = cv2.VideoCapture(location, cv2.CAP_FFMPEG, limits if source.kind == "stream" else [])
            if not self._capture.isOpened():
                raise VideoError(source.name, _not_opened(source))
            # OpenCV 4.11 and 4.12 do not rotate by themselves, and no version handles mirrored frames
            self._mirroring = mirroring(source.location) if isinstance(source.location, Path) else None
            self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1 if self._mirroring is None else 0)
        rate, count = self._capture.get(cv2.CAP_PROP_FPS), self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.rate_declared = RATES[0] <= rate <= RATES[1]
        self.rate = float(rate) if self.rate_declared else USUAL_RATE
        self.count = int(count) if source.kind != "camera" and 0 < count < 1e12 else None
        self._before = -math.inf

    @property
    def live(self) -> bool:
        """Whether the source is a camera, or a stream that declares no length."""
        return self.source.kind == "camera" or (self.source.kind == "stream" and self.count is None)

    def grab(self) -> float | None:
        """The time of the next frame in seconds, later than the time of the previous one; None at the end."""
        if not self._capture.grab():
            return None
        time = self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1000
        if not math.isfinite(time) or time <= self._before:  # containers without time stamps, or with broken ones
            time = self._before + 1 / self.rate if math.isfinite(self._before) else 0.0
        self._before = time
        return time

    def pixels(self) -> Pixels | None:
        """The grabbed frame; None if it cannot be converted."""
        found, frame = self._capture.retrieve()
        if not found or frame is None or not frame.size:
            return None
        code = self._cv2.COLOR_GRAY2RGB if frame.ndim == 2 else self._cv2.COLOR_BGR2RGB
        rgb: Any = self._cv2.cvtColor(frame, code)
        return rgb if self._mirroring is None else _upright(rgb, self._mirroring)

    def close(self) -> None:
        self._capture.release()


def _upright(image: UInt8[np.ndarray, "_ _ 3"], matrix: Matrix) -> UInt8[np.ndarray, "_ _ 3"]:
    """A stored frame as its mirroring display matrix places it."""
    a, b, c, d = matrix
    turned = image.transpose(1, 0, 2)[::b, ::c] if a == 0 else image[::d, ::a]
    return np.ascontiguousarray(turned)


def _readable(source: VideoSource) -> str | int:
    """The name that OpenCV gets: for a file its absolute path, which FFmpeg cannot mistake for an address."""
    path = source.location
    if not isinstance(path, Path):
        return path
    try:
        if path.is_dir():
            raise VideoError(source.name, "a folder, not a video")
        if not path.exists():
            raise VideoError(source.name, "no such file")
        if not path.is_file():
            raise VideoError(source.name, "not an ordinary file")
        with path.open("rb") as file:
            start = file.read(64)
        if not start:
            raise VideoError(source.name, "an empty file (0 bytes)")
        if start.lstrip().startswith(LISTS):
            raise VideoError(source.name, "a playlist, not a video: give the URL of the stream, or the file itself")
    except PermissionError:
        raise VideoError(source.name, "cannot be read (permission denied)") from None
    except (OSError, ValueError) as error:
        raise VideoError(source.name, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return os.path.abspath(path)


def _not_opened(source: VideoSource) -> str:
    if source.kind == "camera":
        if sys.platform != "linux":
            return "no such camera, or another program uses it, or programs are not allowed to"
        found = sorted(int(path.name[5:]) for path in Path("/dev").glob("video*") if path.name[5:].isdigit())
        others = f"there is camera:{', camera:'.join(map(str, found))}" if found else "no camera was found"
        return f"no such camera, or another program uses it; {others}"
    if isinstance(source.location, Path):
        return damage(source.location) or "not a video that can be decoded: broken, without frames, or only sound"
    return "cannot be opened: check the address, the user name and the password, and that the stream is on"
