"""Text of other systems: files in UTF-8, UTF-16, or what their byte order mark declares; numbers and long text."""

import codecs
import errno
import re
import stat
from pathlib import Path

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def read_text(file: Path) -> str:
    """Raises OSError, and UnicodeDecodeError for any other encoding."""
    return decoded(read_bytes(file))


def read_bytes(file: Path) -> bytes:
    """The content of an ordinary file. Raises OSError, also for a pipe or a device, which might never end."""
    check_ordinary(file)
    return file.read_bytes()


def check_ordinary(file: Path) -> None:
    """Raises OSError for a pipe, a socket or a device, and where there is no file."""
    mode = file.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "not an ordinary file", str(file))


def lines_of(text: str) -> list[str]:
    """The lines of a text, which end at line feeds and carriage returns only: `str.splitlines` also divides a line at
    U+2028, U+0085 and others, which names and JSON can contain."""
    return re.split("\r\n|[\r\n]", text)


def decoded(content: bytes, errors: str = "strict") -> str:
    """The text without its byte order mark."""
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    return content.decode(encoding or _unmarked(content), errors)


def _unmarked(content: bytes) -> str:
    """UTF-8, or UTF-16 where every other byte of the start is 0."""
    start = content[: min(len(content) // 2 * 2, 32)]
    if start and not any(start[1::2]) and all(start[0::2]):
        return "utf-16-le"
    return "utf-16-be" if start and not any(start[0::2]) and all(start[1::2]) else "utf-8"


def shortened(text: str, most: int = 200) -> str:
    """The text, or its beginning and its end where it is longer than a message should be."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def whole_number_in(text: str, digits: int = 9) -> int | None:
    """The whole number that a text is, None for any other text. More than so many digits are no number: Python refuses
    thousands of them."""
    return int(text) if text.isdecimal() and len(text) <= digits else None
