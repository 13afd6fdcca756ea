"""OpenCV, imported when it is first needed, and kept from printing: its messages may contain the password of an
address."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from ..extras import imported

SILENT = 0  # the lowest of OpenCV's log levels


def opencv() -> ModuleType:
    """The module cv2. Raises CondetrError, with the command that installs it, if it is missing.

    The FFmpeg inside it prints to standard error unless this variable is set before the first use (-8: nothing).
    """
    cv2 = imported("cv2", "video")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    return cv2


@contextmanager
def quiet(cv2: ModuleType) -> Iterator[None]:
    """OpenCV logs nothing while the block runs."""
    try:
        get_level, set_level = cv2.utils.logging.getLogLevel, cv2.utils.logging.setLogLevel
    except AttributeError:  # before 4.13
        get_level, set_level = cv2.getLogLevel, cv2.setLogLevel
    level = get_level()
    set_level(SILENT)
    try:
        yield
    finally:
        set_level(level)
