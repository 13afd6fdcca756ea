"""What a user may name (files, folders, globs, addresses, cameras, standard input) as a stream of single sources."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ..errors import CondetrError, ImageError
from ..files import quoted
from ..home import text_with_home
from ..images.decode import SUFFIXES as IMAGES
from ..images.decode import Pixels, open_image
from ..own_folders import holds_weights
from ..videos import sources as videos
from ..videos.address import file_stem, shown
from ..videos.capture import Frame
from . import download, local_files
from .standard_input import ByteStream, NotAnImage, read_standard_input


@dataclass(frozen=True, slots=True)
class Found:
    """An image or video that has been found, but not read. `name` is how the user knows it, without passwords;
    `relative` is its path in an output folder; `location` is where it is: a file, an address, a camera, or the bytes of
    the file."""

    name: str
    location: Path | bytes | str = field(repr=False)
    relative: PurePosixPath

    def video(self) -> videos.VideoSource | None:
        """The video that it is; None for an image. For a web address without a known suffix, the server is asked for
        the type."""
        location = self.location
        if isinstance(location, Path):
            is_video = location.suffix.lower() not in IMAGES and videos.is_video_file(location)
            return videos.VideoSource.file(location) if is_video else None
        if isinstance(location, bytes):
            return None
        if (number := videos.camera_number(location)) is not None:
            return videos.VideoSource.camera(number)
        suffix = videos.address_suffix(location)
        known = not is_web(location) or suffix in videos.SUFFIXES | videos.PLAYLISTS
        is_video = known or (suffix not in IMAGES and download.is_video(location))
        return videos.VideoSource.stream(location) if is_video else None

    def is_known_video(self) -> bool:
        """Whether it is a video, without a request to a server: there, the suffix of the address decides."""
        location = self.location
        if isinstance(location, str) and is_web(location):
            return videos.address_suffix(location) in videos.SUFFIXES | videos.PLAYLISTS
        return self.video() is not None

    def read(self) -> Pixels:
        """The image. Raises ImageError with the reason, also for a video."""
        if isinstance(self.location, str) and not is_web(self.location):
            raise ImageError("a camera or stream, not an image")
        return open_image(download.download(self.location) if isinstance(self.location, str) else self.location)


@dataclass(slots=True, weakref_slot=True)
class Opened:
    """A found image, or a frame of a found video, on its way through the detector.

    With `keep`, it keeps the pixels of its image, so that the image need not be fetched and decoded again for a
    drawing. `frame` is the number of a frame, `time` its position in seconds.
    """

    found: Found
    keep: bool
    pixels: Pixels | None = field(default=None, repr=False)
    frame: int | None = None
    time: float | None = None

    @classmethod
    def of_frame(cls, found: Found, frame: Frame) -> "Opened":
        return cls(found, True, frame.image, frame.number, frame.time)

    def place(self) -> dict[str, int | float]:
        """`frame` and `time` of a frame, which are written with its name; empty for an image."""
        return {} if self.frame is None or self.time is None else {"frame": self.frame, "time": round(self.time, 3)}

    def read(self) -> Pixels:
        """Raises ImageError with the reason."""
        if self.pixels is not None:
            return self.pixels
        pixels = self.found.read()
        if self.keep:
            self.pixels = pixels
        return pixels


@dataclass(frozen=True, slots=True)
class Skipped:
    """A source that leads to no image. `failed`: it was meant to be one, so the run counts as failed."""

    name: str
    reason: str
    failed: bool


def find(names: Iterable[str], standard_input: ByteStream, exclude: Path) -> Iterator[Found | Skipped]:
    """Every image that the names lead to, in their order, folders sorted; nothing is read ahead.

    A name is a path, a folder, a glob, an http(s) address, or `-` for standard input, which has the bytes of one image,
    or names, one in each line. Folders and globs leave out `exclude` (the outputs of this or an earlier run) and hidden
    files.
    """
    for name in names:
        if name == "-":
            yield from _standard_input(standard_input, exclude)
        else:
            yield from find_one(name, exclude)


def find_one(name: str, exclude: Path | None = None) -> Iterator[Found | Skipped]:
    """Every image that one path, folder, glob or http(s) address leads to."""
    name = text_with_home(name)
    scheme = videos.scheme_of(name)
    path = Path(name)
    if not name:
        yield Skipped("''", "an empty name", failed=True)
    elif scheme in ("http", "https"):
        try:
            file = unquote(PurePosixPath(urlsplit(name).path).name)
        except ValueError as error:
            yield Skipped(shown(name), f"not a valid URL ({shown(str(error))})", failed=True)
        else:
            yield Found(shown(name), name, PurePosixPath(file or "image"))
    elif not local_files.exists(path) and (scheme in videos.STREAMS or videos.camera_number(name) is not None):
        yield Found(shown(name), name, PurePosixPath(file_stem(name) if scheme else name.replace(":", "-")))
    elif scheme and not local_files.exists(path):
        reason = f"only http and https URLs and streams (rtsp, rtmp, udp) are opened, not {scheme}"
        yield Skipped(shown(name), reason, failed=True)
    elif local_files.is_folder(path):
        yield from _folder(path, exclude)
    elif leads_to_many(name):
        found = False
        for match in local_files.matches(name, exclude):
            found = True
            yield Found(str(match), match, PurePosixPath(match.name))
        if not found:
            yield Skipped(name, "no file matches", failed=True)
    elif local_files.is_missing(path):
        yield Skipped(name, "no such file or folder", failed=True)
    else:
        yield Found(name, path, PurePosixPath(path.name))


def leads_to_many(name: str) -> bool:
    """Whether a name is a folder or a glob, and so may lead to any number of images."""
    if is_web(name):
        return False
    path = Path(name)
    return local_files.is_folder(path) or (has_magic(name) and not local_files.exists(path))


def is_web(name: str) -> bool:
    return videos.scheme_of(name) in videos.WEB


def _folder(folder: Path, exclude: Path | None) -> Iterator[Found | Skipped]:
    """Raises CondetrError for a folder of weights, whose only image would be a plot of the training."""
    if holds_weights(folder):
        raise CondetrError(f"{folder}: weights, not images. Give them as `weights`")
    something = False
    others: list[str] = []
    videos_found: list[str] = []
    for path in local_files.walk(folder, exclude):
        if isinstance(path, OSError):
            something = True
            yield Skipped(str(path.filename), f"cannot be listed ({path.strerror})", failed=True)
        elif local_files.looks_like_an_image(path):
            something = True
            yield Found(str(path), path, PurePosixPath(folder.resolve().name, *path.relative_to(folder).parts))
        else:
            (videos_found if videos.is_video_file(path) else others).append(str(path.relative_to(folder)))
    if videos_found:
        how = f"To predict them, name them, for example {quoted(folder / videos_found[0])}"
        yield Skipped(str(folder), f"skipped, videos: {_first(videos_found)}. {how}", failed=False)
    if others:
        yield Skipped(str(folder), f"skipped, not images: {_first(others)}", failed=False)
    if not something:
        yield Skipped(str(folder), "a folder without images", failed=True)


def _first(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _standard_input(stream: ByteStream, exclude: Path) -> Iterator[Found | Skipped]:
    try:
        content = read_standard_input(stream)
    except NotAnImage as error:
        yield Skipped("-", str(error), failed=True)
        return
    if isinstance(content, bytes):
        yield Found("-", content, PurePosixPath("stdin"))
        return
    found = False
    for name in content:
        found = True
        yield from find_one(name, exclude)
    if not found:
        yield Skipped("-", "empty: expected one image, or paths, one a line", failed=True)
