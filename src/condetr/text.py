"""Text files of other systems: UTF-8, or what their byte order mark declares."""

import codecs
from pathlib import Path

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def read_text(file: Path) -> str:
    """Raises OSError, and UnicodeDecodeError for any other encoding."""
    return decoded(file.read_bytes())


def decoded(content: bytes, errors: str = "strict") -> str:
    """The text without its byte order mark."""
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
    return content.decode(encoding, errors)
