"""Standard input as the bytes of one image, or as a list of sources, one in each line."""

import codecs
import io
import os
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from ..errors import CondetrError
from .download import MAX_BYTES
from .local_files import is_magic

MAX_LINE = 2**16  # bytes of a path on standard input


@runtime_checkable
class ByteStream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class NotAnImage(CondetrError):
    """Standard input cannot be used; the message is only the reason."""


def read_standard_input(stream: ByteStream) -> bytes | Iterator[str]:
    """The bytes of one image if it begins as an image file does, else the lines, each as soon as it has arrived.

    Raises NotAnImage for other binary data and for an image of more than MAX_BYTES.
    """
    start = _available(stream)
    while len(start) < 16 and not is_magic(start) and (b"\n" not in start or start.startswith((b"RIFF", b"\0"))):
        if not (more := _available(stream)):
            break
        start += more
    if is_magic(start):
        content = start + stream.read(MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise NotAnImage(f"more than {MAX_BYTES:,} bytes")
        return content
    start = start.removeprefix(codecs.BOM_UTF8)
    if b"\0" in start:
        raise NotAnImage("neither an image of a known format nor a list of paths")
    return (line for line in (os.fsdecode(line).strip("\r\n") for line in _lines(start, stream)) if line.strip())


def _lines(start: bytes, stream: ByteStream) -> Iterator[bytes]:
    rest = start
    while True:
        *whole, rest = rest.split(b"\n")
        yield from whole
        if len(rest) > MAX_LINE:
            raise CondetrError("-: neither an image nor a list of paths, one a line")
        more = _available(stream)
        if not more:
            yield rest
            return
        rest += more


def _available(stream: ByteStream) -> bytes:
    """What a pipe holds now, at least one byte unless it has ended; `read` would wait for the whole size."""
    return stream.read1(65536) if isinstance(stream, io.BufferedIOBase) else stream.read(65536)
