"""A file in memory that can be read only so often: hostile files consist of millions of parts of a few bytes."""

import io

from ..errors import ImageError

READS = 100_000  # real files take a few reads for each marker, chunk or block of 64 KiB
BYTES_OF_A_READ = 1024  # larger files may be read once more for each so many bytes: a PNG has chunks of 8 KiB


class BoundedFile(io.BytesIO):
    """Raises ImageError when it is read too often.

    Pillow parses headers in Python, a microsecond or more for each part, and keeps some parts: 30 MB of empty JPEG
    markers took half a minute and a gigabyte.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = READS + len(content) // BYTES_OF_A_READ

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise ImageError("made of too many parts to decode. Save it anew as JPEG or PNG")
        return super().read(size)
