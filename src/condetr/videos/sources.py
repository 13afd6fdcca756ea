"""What a user may name as a video: a file, `camera:0`, or the address of a stream."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from ..errors import CondetrError
from ..home import text_with_home
from .address import file_stem, shown
from .container import looks_like_a_video

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp"}
    | {".3g2", ".ogv", ".asf", ".vob", ".mjpeg", ".mjpg", ".h264", ".h265", ".hevc", ".y4m", ".mxf"}
)
PLAYLISTS = frozenset({".m3u8", ".mpd"})  # only at an address: a local playlist may name any file or host
WEB = frozenset({"http", "https"})
STREAMS = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt", "mms"})
_CAMERA = re.compile(r"camera:(\d{0,4})", re.IGNORECASE)

Kind = Literal["file", "camera", "stream"]


class VideoError(CondetrError):
    """A video that cannot be read. `reason` is the message without the name."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


@dataclass(frozen=True, slots=True)
class VideoSource:
    """`name` is the source as it is shown, without passwords; `stem` is the beginning of the names of files that come
    from it."""

    kind: Kind
    location: Path | int | str = field(repr=False)
    name: str
    stem: str

    @classmethod
    def file(cls, path: Path) -> "VideoSource":
        return cls("file", path, str(path), path.stem)

    @classmethod
    def camera(cls, number: int) -> "VideoSource":
        return cls("camera", number, f"camera:{number}", f"camera-{number}")

    @classmethod
    def stream(cls, address: str) -> "VideoSource":
        return cls("stream", address, shown(address), file_stem(address))


def camera_number(name: str) -> int | None:
    """The number in `camera:2`; 0 for `camera:`; None for any other name."""
    match = _CAMERA.fullmatch(name)
    return int(match[1] or 0) if match else None


def scheme_of(name: str) -> str:
    """The lower case scheme of an address, "" for any other name."""
    return name.partition("://")[0].lower() if "://" in name else ""


def address_suffix(address: str) -> str:
    """The lower case suffix of the path of an address; "" if it has none or is invalid."""
    try:
        return Path(urlsplit(address).path).suffix.lower()
    except ValueError:
        return ""


def is_video_file(path: Path) -> bool:
    """Whether a file is a video, by its first bytes, or by its suffix if these do not tell."""
    return looks_like_a_video(path, path.suffix.lower() in SUFFIXES)


def source_of(video: str | os.PathLike[str] | int) -> VideoSource:
    """The source that Python code names: a path, `camera:0` or 0, or an address. Raises CondetrError for anything
    else."""
    if isinstance(video, int) and not isinstance(video, bool) and video >= 0:
        return VideoSource.camera(video)
    if not isinstance(video, str | os.PathLike) or not os.fspath(video):
        raise CondetrError(f"video: expected a path, a URL, or a camera such as 'camera:0', got {video!r}")
    name = text_with_home(os.fsdecode(video))
    path = Path(name)
    if not os.path.lexists(path):
        if (number := camera_number(name)) is not None:
            return VideoSource.camera(number)
        scheme = scheme_of(name)
        if scheme in WEB | STREAMS:
            return VideoSource.stream(name)
        if scheme:
            known: Iterable[str] = sorted(WEB | STREAMS)
            raise VideoError(shown(name), f"{scheme} is not read. Streams are {', '.join(known)}")
    return VideoSource.file(path)
