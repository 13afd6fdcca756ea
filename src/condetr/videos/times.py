"""Positions in a video: seconds, or hours, minutes and seconds with colons."""

import math
import re

from ..errors import CondetrError

Position = int | float | str | None
_CLOCK = re.compile(r"(?:(\d{1,9}):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)")


def seconds_of(value: Position, name: str) -> float | None:
    """Seconds from the beginning for 90, "90", "1:30" or "0:01:30.5"; None for None. Raises CondetrError."""
    if value is None:
        return None
    text = str(value).strip()
    match = _CLOCK.fullmatch(text)
    if match and int(match[2]) < 60 and float(match[3]) < 60:
        return int(match[1] or 0) * 3600 + int(match[2]) * 60 + float(match[3])
    try:
        seconds = math.nan if isinstance(value, bool) else float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise CondetrError(f"{name} {text[:40]}: give seconds, or hh:mm:ss, for example 90 or 0:01:30")
    return seconds
