"""A video file written at a constant frame rate, with the timing of frames that come at any time."""

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CondetrError
from ..images.decode import Pixels
from .container import damage
from .opencv import opencv, quiet

CODECS = {"vp9": "vp09", "mp4v": "mp4v"}  # browsers play VP9 in MP4, but not MPEG-4 Part 2, which is faster to write
LONGEST = 60.0  # seconds that a frame is shown at most, whenever the next one is due: time stamps can be broken
SLOWEST = 1.0  # frames per second


class VideoWriter:
    """An MP4 of `rate` frames per second. Each frame is repeated until the next one is due. If several are due at the
    same time, the last one is written, and `dropped` counts the others.

    The first frame sets the size; an odd side gets one more row or column. Frames of another size are padded or cut.
    """

    def __init__(self, path: Path, rate: float, codec: str = "vp9") -> None:
        self.path, self.rate, self.codec = path, max(rate, SLOWEST), codec
        self.dropped = 0
        self._writer: Any = None  # opened with the first frame, which sets the size
        self._size = (0, 0)
        self._start = 0.0
        self._pending: tuple[np.ndarray, int] | None = None  # a frame and the number of its slot

    def write(self, image: Pixels, time: float) -> None:
        """Raises CondetrError if this installation of OpenCV cannot write the codec."""
        if self._writer is None:
            self._start = time
            self._size = (image.shape[1] + image.shape[1] % 2, image.shape[0] + image.shape[0] % 2)
            self._open()
        frame = self._fitted(image)
        slot = max(round((time - self._start) * self.rate), 0)
        if self._pending is not None:
            before, due = self._pending
            if slot <= due:
                self.dropped += 1
                self._pending = frame, due
                return
            longest = round(LONGEST * self.rate)
            if slot - due > longest:
                self._start += (slot - due - longest) / self.rate
                slot = due + longest
            self._put(before, slot - due)
        self._pending = frame, slot

    def close(self) -> None:
        """Write the remaining frames and the index. Raises CondetrError if the file is not complete, for example on a
        full disk."""
        if self._pending is not None:
            self._put(self._pending[0], 1)
            self._pending = None
        if self._writer is not None:
            self._writer.release()
            self._writer = None
            if damage(self.path) is not None:
                raise CondetrError("could not be written completely. Is the disk full?")

    def _open(self) -> None:
        cv2 = opencv()
        code = cv2.VideoWriter.fourcc(*CODECS[self.codec])
        with quiet(cv2):
            self._writer = cv2.VideoWriter(str(self.path), cv2.CAP_FFMPEG, code, self.rate, self._size)
            if not self._writer.isOpened():
                self._writer = None
                other = next(name for name in CODECS if name != self.codec)
                raise CondetrError(f"the installed OpenCV cannot write {self.codec}. Try `codec={other!r}`")

    def _fitted(self, image: Pixels) -> np.ndarray:
        """The frame in BGR, at the size of the file."""
        width, height = self._size
        missing = (0, max(height - image.shape[0], 0)), (0, max(width - image.shape[1], 0)), (0, 0)
        mode = "edge" if max(missing[0][1], missing[1][1]) == 1 else "constant"
        padded = np.pad(image, missing, mode=mode) if any(after for _, after in missing) else image  # type: ignore[call-overload]
        return np.ascontiguousarray(padded[:height, :width, ::-1])

    def _put(self, frame: np.ndarray, times: int) -> None:
        for _ in range(times):
            self._writer.write(frame)
