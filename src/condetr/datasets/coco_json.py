"""COCO's JSON: the content of a file without its polygons, and values that exporters write in other types."""

import codecs
import json
import re
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..text import check_ordinary, decoded, read_bytes
from .coco_masks import box_around

_NO_BOX: tuple[Any, ...] = (None, "", [], [0, 0, 0, 0], ["0", "0", "0", "0"], [-1, -1, -1, -1])


class NotCocoError(DataError):
    """A JSON file has no list of images or classes: it can be of another format."""


def looks_like(file: Path) -> bool:
    """Whether a file is a JSON object with a list at a key "images" somewhere. False is certain, True is not."""
    try:
        check_ordinary(file)
        with file.open("rb") as opened:
            head = opened.read(4096)
            if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return re.search(r'"images"\s*:\s*\[', decoded(head + opened.read(), errors="replace")) is not None
            if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
                return False
            while head:
                if re.search(rb'"images"\s*:\s*\[', head):
                    return True
                head = head[-64:] + chunk if (chunk := opened.read(1 << 20)) else b""
    except OSError:
        pass
    return False


def read_json(file: Path) -> dict[str, Any]:
    """The content of a file. Raises DataError where it cannot be read or is not COCO's."""
    try:
        content = json.loads(decoded(read_bytes(file)), object_hook=_without_segmentation)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        at_end = not error.doc[error.pos :].strip("\0 \t\r\n") or error.msg.startswith("Unterminated string")
        cut = ". Is the file truncated?" if at_end else ""
        raise DataError(f"{file}: invalid JSON at {place} ({error.msg}){cut}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: invalid JSON: not UTF-8 text (byte {error.start}). Save it as UTF-8") from None
    except (ValueError, RecursionError, MemoryError) as error:  # huge numbers, deep nesting
        raise DataError(f"{file}: invalid JSON ({_one_line(error)})") from None
    if not isinstance(content, dict) or "images" not in content:
        raise NotCocoError(f"{file}: not a COCO file: it has no list 'images'")
    return content


def _without_segmentation(entry: dict[str, Any]) -> dict[str, Any]:
    """Polygons are nine tenths of COCO's file and of its memory; they are dropped as soon as they are parsed. An object
    without a box gets the box around them as `around`."""
    segmentation = entry.pop("segmentation", None)
    if segmentation and entry.get("bbox") in _NO_BOX:
        box = box_around(segmentation)
        if box is not None:
            entry["around"] = box
    return entry


def list_at(content: dict[str, Any], key: str, file: Path) -> list[Any]:
    """The list at a key of the file, empty where there is none. Raises DataError for another value."""
    entries = content.get(key)
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise DataError(f"{file}: '{key}' is not a list")
    return entries


def whole_number(value: Any) -> int | None:
    """An integer that fits into 64 bits, also when written as 7.0, "7" or "7.0"."""
    if isinstance(value, str | float) and not isinstance(value, bool):
        try:
            number = value if isinstance(value, float) else _number(value)
            value = int(number) if number == int(number) else None
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) < 2**63 else None


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def float_or_nan(value: Any) -> float:
    """NaN for everything that is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def side(value: Any) -> int:
    """Width or height in pixels, 0 for everything that is not one."""
    whole = whole_number(value)
    return whole if whole is not None and 0 < whole < 2**31 else 0


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
