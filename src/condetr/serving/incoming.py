"""From the bytes of a client to an image at the model's size, within the limits on pixels and memory."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ..errors import ImageError
from ..images.decode import Header, Pixels, image_header, open_image
from ..plural import counted
from ..predicting.batching import Scaled
from .limits import Limits, Refused

MOST_SCANS = 64  # of a progressive JPEG: each is decoded over the whole image, and editors write about ten
MOST_SLOW_PIXELS, MOST_SLOW_BYTES = 1_000_000, 4_000_000  # of formats that are decoded in Python: about 2 s
FORM = "multipart/form-data"
START_OF_SCAN = b"\xff\xda"


@dataclass(frozen=True, slots=True)
class Incoming:
    """An image as a client sent it: the bytes of a file, or RGB pixels. `name` is the file name that it gave."""

    content: bytes | np.ndarray
    name: str | None = None


class Decoder:
    """Decodes images in several threads, with at most `limits.pixels` in all of them together."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._free = limits, limits.pixels
        self._changed = threading.Condition()

    def __call__(self, image: Incoming, number: int, scale: Callable[[Pixels], Scaled]) -> Scaled:
        """The image, decoded, and scaled with `Predictor.scale`; `number` counts from 1 in its request.

        Raises Refused for an image that is too large or cannot be read."""
        try:
            width, height, slow = self._header(image.content)
            if width * height > self._limits.pixels:
                most = self._limits.pixels / 1e6
                raise Refused(413, f"{_named(image, number)}: {width} x {height} pixels; at most {most:g} million")
            if slow and (width * height > MOST_SLOW_PIXELS or len(image.content) > MOST_SLOW_BYTES):
                raise ImageError("a format that takes too long to decode (text or RLE). Convert it to JPEG or PNG")
            with self._room(width * height):
                return scale(open_image(image.content))
        except ImageError as error:
            # messages of decoders may show an object and its address
            reason = " ".join(re.sub(r"<[^<>]*>", "the file", str(error)).split())
            raise Refused(422, f"{_named(image, number)}: {reason}") from None

    def _header(self, content: bytes | np.ndarray) -> Header:
        if isinstance(content, np.ndarray):
            return Header(content.shape[1], content.shape[0], slow=False)
        if content.startswith(b"\xff\xd8") and content.count(START_OF_SCAN) > MOST_SCANS:
            raise ImageError(f"a JPEG of more than {MOST_SCANS} scans, which takes too long to decode")
        return image_header(content)

    @contextmanager
    def _room(self, pixels: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


def _named(image: Incoming, number: int) -> str:
    shown = "".join(c for c in image.name or "" if c.isprintable())[:100]
    return f"image {number} ({shown})" if shown else f"image {number}"


def accepted(content_type: str) -> str:
    """The content type itself. Raises Refused for one that is none of an image."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("application/json", "text/plain", "text/html"):
        raise Refused(415, f"{kind}: send the bytes of an image, or {FORM}")
    return content_type


def is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == FORM


def images_of(content: bytes, content_type: str, most: int) -> list[Incoming]:
    """The images of a body, which has one at least. Raises Refused."""
    images = parts(content, content_type, most) if is_form(content_type) else [Incoming(content)]
    if not images or not content:
        raise Refused(400, f"no image in the request: send the bytes of an image, or {FORM}")
    return images


def parts(content: bytes, content_type: str, most: int) -> list[Incoming]:
    """The files of a multipart/form-data body (RFC 7578). Raises Refused for a malformed body, a part that is not a
    file, and more than `most` of them."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise Refused(400, "multipart/form-data: the boundary is missing in the header Content-Type")
    reader = _Reader(most)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.begin,
                "on_part_data": reader.data,
                "on_part_end": reader.end,
                "on_header_field": reader.header_field,
                "on_header_value": reader.header_value,
                "on_header_end": reader.header_end,
                "on_end": reader.finish,
            },
        )
        parser.write(_without_preamble(content, boundary))
        parser.finalize()
    except FormParserError:
        raise Refused(400, "multipart/form-data: malformed body") from None
    if not reader.complete:
        raise Refused(400, "multipart/form-data: the body ends before its last boundary")
    return reader.files


def _without_preamble(content: bytes, boundary: bytes) -> bytes:
    """The body from its first boundary on: the text that may stand before it (RFC 2046, section 5.1.1) is ignored, as
    the parser ignores the text behind the last one."""
    if content.startswith((b"--" + boundary, b"\r\n--" + boundary)):
        return content
    at = content.find(b"\r\n--" + boundary)
    return content if at < 0 else content[at + 2 :]


class _Reader:
    """Collects the files from the parser's callbacks."""

    def __init__(self, most: int) -> None:
        self.files: list[Incoming] = []
        self.complete = False
        self._most = most
        self.begin()

    def begin(self) -> None:
        if len(self.files) == self._most:
            raise Refused(413, f"more than {counted(self._most, 'image')} in one request")
        self._field, self._value = bytearray(), bytearray()
        self._content: list[bytes] = []
        self._disposition = b""

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"filename")
        if name is None:
            field = "".join(c for c in options.get(b"name", b"").decode(errors="replace") if c.isprintable())[:50]
            raise Refused(400, f"multipart/form-data: {field or 'a field'} is not a file; options go into the query")
        self.files.append(Incoming(b"".join(self._content), name.decode(errors="replace")[:255]))
        self._content = []

    def finish(self) -> None:
        self.complete = True
