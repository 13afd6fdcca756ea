"""Videos with the boxes drawn on every frame: MP4 files that are complete however the run ends."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..detections import Detections, draw
from ..errors import CondetrError
from ..files import safe_name
from ..videos.sources import VideoSource
from ..videos.writing import VideoWriter
from .kept import kept
from .sources import Opened
from .writers import Writer


class DrawnVideos(Writer):
    """A file for each video, in `folder`, under a name that no other video of this run has.

    The first frame of a video begins its file; `finish`, which must be called, completes it.
    """

    def __init__(self, folder: Path, codec: str) -> None:
        self.folder, self.codec = folder, codec
        self._taken: set[str] = set()
        self._source: VideoSource | None = None
        self._rate = 0.0
        self._path = folder
        self._writer: VideoWriter | None = None
        self._files = ExitStack()

    def begin(self, source: VideoSource, rate: float) -> None:
        self._source, self._rate = source, rate

    def write(self, image: Opened, detections: Detections) -> None:
        """Raises CondetrError if the file cannot be written."""
        if image.time is None or self._source is None:
            return
        if self._writer is None:
            self._path = self._free(self._source)
            self._writer = self._files.enter_context(_written(self._path, self._rate, self.codec))
        with _named(self._path):
            self._writer.write(draw(image.read(), detections), image.time)

    def finish(self) -> int:
        """Complete the file. Returns the number of frames that are not drawn because others are due at the same
        time."""
        writer, self._writer = self._writer, None
        self._files.close()
        return writer.dropped if writer else 0

    def wrote(self, path: Path) -> bool:
        return path.parent == self.folder and path.name.casefold() in self._taken

    def _free(self, source: VideoSource) -> Path:
        """A path that no other video of this run has, and that is not the video itself."""
        stem, number = safe_name(source.stem), 1
        path = self.folder / f"{stem}.mp4"
        while path.name.casefold() in self._taken or _is_source(path, source):
            number += 1
            path = self.folder / f"{stem}-{number}.mp4"
        self._taken.add(path.name.casefold())
        return path


def _is_source(path: Path, source: VideoSource) -> bool:
    return isinstance(source.location, Path) and path.exists() and path.samefile(source.location)


@contextmanager
def _written(path: Path, rate: float, codec: str) -> Iterator[VideoWriter]:
    with kept(path, ".part.mp4") as part:
        writer = VideoWriter(part, rate, codec)
        try:
            yield writer
        finally:
            with _named(path):
                writer.close()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except CondetrError as error:
        raise CondetrError(f"{path}: {error}") from None
