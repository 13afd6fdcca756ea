"""An image of a bulk run: how its row names it, and where a worker process finds it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageError
from ..images.decode import Pixels, open_image
from ..predicting.download import download
from ..predicting.sources import is_web
from .stores import Stores


@dataclass(frozen=True, slots=True)
class Image:
    """`name` is the image as the user knows it. `location` is an absolute path (undecodable bytes as surrogates, as in
    `os.fsdecode`), an address, or empty if a manifest names no image. `source` is the number of the source that led to
    it; its object store is opened with the options of that source."""

    name: str
    location: str
    source: int

    @property
    def key(self) -> tuple[str, int]:
        """What two runs must have in common: for an object store the source, too, whose options open it."""
        in_store = is_address(self.location) and not is_web(self.location)
        return self.location, self.source if in_store else 0

    def read(self, stores: Stores) -> Pixels:
        """Raises ImageError with the reason."""
        if not self.location:
            raise ImageError("the manifest names no image in this row")
        if not is_address(self.location):
            return open_image(Path(self.location))
        if is_web(self.location):
            return open_image(download(self.location))
        return open_image(stores.read(self.location, self.source))


def local_image(name: str, source: int) -> Image:
    return Image(printed(name), os.path.abspath(name), source)


def is_address(name: str) -> bool:
    """Whether a name is an address such as `s3://bucket/a.jpg`. A drive of Windows is not one: it has a single
    letter."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", name) is not None


def printed(name: str) -> str:
    """The name as text that UTF-8 can encode: bytes of a file name that are not UTF-8 become escapes (`\xff`)."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
