"""The id of an image as its labels write it: a number or a word, which files of detections then use as well."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Key = int | str


def key_of(value: Any) -> Key | None:
    """`7`, `7.0` and `"7"` are the number 7, `"007"` and `"img_7"` are words. None for what is no id."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        text = value.strip()
        return int(text) if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) else text or None
    if isinstance(value, float):
        return int(value) if abs(value) < 2**63 and value == int(value) else None
    return value if abs(value) < 2**63 else str(value)


def number_of(key: Key) -> int | None:
    """The number that a word of digits writes: 7 for `"007"`."""
    if isinstance(key, int):
        return key
    return int(key) if re.fullmatch(r"[0-9]{1,18}", key) else None


def keys_of_files(paths: Sequence[Path]) -> tuple[Key, ...]:
    """For labels without ids: the name without its suffix, as a number where it is one (`000000039769.jpg`: 39769).

    Files that would have the same key have their folders in it. This is the id that other tools write for YOLO data.
    """
    short = [_number_or_word(path.stem) for path in paths]
    count = Counter(short)
    if len(count) == len(short):
        return tuple(short)
    above = {parent for path in paths for parent in path.parents}
    shared = max((one for one in above if all(path.is_relative_to(one) for path in paths)), key=lambda p: len(p.parts))
    long = [key if count[key] == 1 else path.relative_to(shared).with_suffix("").as_posix()
            for key, path in zip(short, paths)]  # fmt: skip
    count = Counter(long)
    return tuple(key if count[key] == 1 else path.relative_to(shared).as_posix() for key, path in zip(long, paths))


def _number_or_word(stem: str) -> Key:
    return int(stem) if re.fullmatch(r"[0-9]{1,15}", stem) else stem
