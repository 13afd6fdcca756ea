"""What a user may point at (files, folders, globs, web addresses, standard input) as a stream of single images."""

import io
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from http.client import HTTPException, HTTPMessage
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, runtime_checkable
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..errors import CondetrError, ImageError
from ..images.decode import SUFFIXES, Pixels, open_image

LONGEST_LINE = 2**16  # of a path on standard input
MOST_BYTES = 256 * 2**20  # of one image from the web or standard input
PATIENCE = 60.0  # seconds for a whole download; PAUSE seconds without a byte also end it
PAUSE = 20.0
UNREADABLE = frozenset(
    {".heic", ".heif", ".jxl", ".ico", ".icns", ".psd", ".tga", ".svg", ".eps", ".pdf", ".dng", ".cr2", ".nef", ".exr"}
)  # images of formats that are not read: in a folder they are refused by name, where other files are passed over
MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM", b"\0\0\0\x0cjP")


@runtime_checkable
class ByteStream(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(slots=True)
class Found:
    """One image to be read. `name` is how the user knows it, `below` its name in an output.

    `place` is where it is: a file, an address, or its bytes, which take an address's place once they have come.
    """

    name: str
    place: Path | bytes | str
    below: PurePosixPath

    def read(self) -> Pixels:
        """Raises ImageError with the reason."""
        if isinstance(self.place, str):
            self.place = download(self.place)
        return open_image(self.place)


@dataclass(frozen=True, slots=True)
class Missed:
    """Something the user pointed at that leads to no image. `refused`: it should have, so it counts as a failure."""

    name: str
    reason: str
    refused: bool


def find(words: Iterable[str], standard_input: ByteStream, apart: Path) -> Iterator[Found | Missed]:
    """Every image the words lead to, in their order, folders sorted; nothing is read ahead.

    A word is a path, a folder, a glob, an http(s) address, or `-`: the bytes of one image, or such words, one a line.
    Folders and globs leave out `apart` (the outputs of this or an earlier run) and hidden files.
    """
    for word in words:
        if word == "-":
            yield from _standard_input(standard_input, apart)
        else:
            yield from _word(word, apart)


def _word(word: str, apart: Path) -> Iterator[Found | Missed]:
    scheme = word.partition("://")[0].lower() if "://" in word else ""
    path = Path(word)
    if not word:
        yield Missed("''", "an empty name", refused=True)
    elif scheme in ("http", "https"):
        try:
            name = unquote(PurePosixPath(urlsplit(word).path).name)
        except ValueError as error:
            yield Missed(word, f"not an address ({error})", refused=True)
        else:
            yield Found(word, word, PurePosixPath(name or "image"))
    elif scheme and not _exists(path):
        yield Missed(word, f"only http and https addresses are fetched, not {scheme}", refused=True)
    elif _is_folder(path):
        yield from _folder(path, apart)
    elif has_magic(word) and not _exists(path):
        some = False
        for match in map(Path, sorted(glob(word, recursive=True))):
            if _is_folder(match) or _within(match, apart):
                continue
            some = True
            yield Found(str(match), match, PurePosixPath(match.name))
        if not some:
            yield Missed(word, "no file matches", refused=True)
    elif _is_missing(path):
        yield Missed(word, "no such file or folder", refused=True)
    else:
        yield Found(word, path, PurePosixPath(path.name))


def _folder(folder: Path, apart: Path) -> Iterator[Found | Missed]:
    failures: list[OSError] = []
    some, others = False, []
    for place, folders, files in os.walk(folder, onerror=failures.append):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and not _within(Path(place, f), apart))
        for file in sorted(f for f in files if not f.startswith(".")):
            path = Path(place, file)
            if path.suffix.lower() in SUFFIXES | UNREADABLE or _begins_like_an_image(path):
                some = True
                yield Found(str(path), path, PurePosixPath(folder.resolve().name, *path.relative_to(folder).parts))
            else:
                others.append(str(path.relative_to(folder)))
        while failures:
            yield Missed(str(failures[0].filename), f"cannot be listed ({failures[0].strerror})", refused=True)
            failures.pop(0)
            some = True
    if others:
        named = ", ".join(others[:10]) + (f" and {len(others) - 10} more" if len(others) > 10 else "")
        yield Missed(str(folder), f"passed over what is no image: {named}", refused=False)
    if not some:
        yield Missed(str(folder), "a folder without images", refused=True)


def _standard_input(stream: ByteStream, apart: Path) -> Iterator[Found | Missed]:
    """One image if its first bytes say so, else words, one a line, each found as soon as it has come."""
    start = _come(stream)
    while len(start) < 16 and not _is_magic(start) and (b"\n" not in start or start.startswith((b"RIFF", b"\0"))):
        if not (more := _come(stream)):
            break
        start += more
    if _is_magic(start):
        content = start + stream.read(MOST_BYTES)
        if len(content) > MOST_BYTES:
            yield Missed("-", f"more than {MOST_BYTES:,} bytes", refused=True)
        else:
            yield Found("-", content, PurePosixPath("stdin"))
        return
    if b"\0" in start:
        yield Missed("-", "neither an image of a known format nor a list of paths", refused=True)
        return
    some = False
    for line in _lines(start, stream):
        word = os.fsdecode(line).strip("\r\n")
        if word.strip():
            some = True
            yield from _word(word, apart)
    if not some:
        yield Missed("-", "nothing came: expected one image, or paths, one a line", refused=True)


def _lines(start: bytes, stream: ByteStream) -> Iterator[bytes]:
    rest = start
    while True:
        *whole, rest = rest.split(b"\n")
        yield from whole
        if len(rest) > LONGEST_LINE:
            raise CondetrError("-: neither an image nor a list of paths, one a line")
        more = _come(stream)
        if not more:
            yield rest
            return
        rest += more


def _come(stream: ByteStream) -> bytes:
    """What a pipe has now, at least a byte unless it has ended; `read` would wait for all that is asked for."""
    return stream.read1(65536) if isinstance(stream, io.BufferedIOBase) else stream.read(65536)


class _OnlyWeb(HTTPRedirectHandler):
    """Follows a redirect only to another http(s) address, never to a file or another protocol."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme.lower() not in ("http", "https"):
            raise ImageError(f"redirects to {urlsplit(newurl).scheme}, which is not fetched")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(address: str) -> bytes:
    """What is behind an http(s) address, at most MOST_BYTES within PATIENCE. Raises ImageError with the reason."""
    until = time.monotonic() + PATIENCE
    try:
        request = Request(quote(address, safe="%/:=&?~#+!$,;'@()*[]"), headers={"User-Agent": "condetr"})
        with build_opener(_OnlyWeb).open(request, timeout=PAUSE) as answer:
            content = io.BytesIO()
            while block := answer.read1(2**16):
                content.write(block)
                if content.tell() > MOST_BYTES:
                    raise ImageError(f"more than {MOST_BYTES:,} bytes")
                if time.monotonic() > until:
                    raise ImageError(f"not complete after {PATIENCE:.0f} s")
            declared = answer.headers.get("Content-Length")
            if declared and declared.isdigit() and int(declared) > content.tell():
                raise ImageError(f"cut short ({content.tell():,} of {declared} bytes came)")
            return content.getvalue()
    except HTTPError as error:
        raise ImageError(" ".join(f"the server answers {error.code} {error.reason}".split())) from None
    except URLError as error:
        raise ImageError(f"cannot be fetched ({error.reason})") from None
    except (OSError, HTTPException, ValueError) as error:
        raise ImageError(f"cannot be fetched ({str(error) or type(error).__name__})") from None


def _begins_like_an_image(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(16)
        return _is_magic(start) and not start.startswith(b"BM")  # two letters that text may begin with
    except OSError:
        return False


def _is_magic(start: bytes) -> bool:
    """Whether these are the first bytes of JPEG, PNG, GIF, TIFF, BMP, JPEG 2000, WebP or AVIF."""
    return start.startswith(MAGIC) or start[8:12] == b"WEBP" or start[4:12] in (b"ftypavif", b"ftypavis")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name no file can have
        return False


def _is_missing(path: Path) -> bool:
    """Known not to be there, rather than hidden by a permission: opening tells what is wrong with the others."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _within(path: Path, folder: Path) -> bool:
    return folder.resolve() in (path.resolve(), *path.resolve().parents)
