"""What the words given to options stand for: settings, lists, thresholds, tiles. Errors name the flag."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from ..errors import CondetrError, ConfigError
from ..suggestions import did_you_mean, nearest

if TYPE_CHECKING:
    from ..predicting.tiling import Tiling


def settings(assignments: list[str] | None) -> dict[str, Any]:
    """`path=value` words as a dict; a value is JSON where it parses as JSON, else the word itself."""
    parsed = {}
    for assignment in assignments or []:
        path, equals, value = assignment.partition("=")
        if not equals:
            raise CondetrError(f"--set {assignment}: write it as path=value, for example --set train.lr=2e-4")
        try:
            parsed[path.strip()] = json.loads(value)
        except json.JSONDecodeError:
            parsed[path.strip()] = value
    return parsed


def words(flag: str, text: str) -> list[str]:
    """The words of a list with commas. Raises CondetrError that names the flag where one is empty."""
    found = [word.strip() for word in text.split(",")]
    if not all(found):
        raise CondetrError(f"{flag} {text}: a name is missing between two commas")
    return found


def confidence(threshold: str | None) -> float | Literal["best"] | None:
    """What `--threshold` stands for. Raises CondetrError that names the flag."""
    if threshold is None:
        return None
    from ..predicting.selection import parse_threshold  # loads torch

    try:
        return parse_threshold(threshold)
    except CondetrError as error:
        raise CondetrError(f"--{error}") from None


def suppression(nms: str | None) -> float | Literal["none"] | None:
    """What `--nms` stands for. Raises CondetrError that names the flag."""
    if nms is None:
        return None
    from ..predicting.selection import parse_nms  # loads torch

    try:
        return parse_nms(nms)
    except CondetrError as error:
        raise CondetrError(f"--{error}") from None


@contextmanager
def naming_flags(flags: Mapping[str, str]) -> Iterator[None]:
    """Errors about a setting name the flag that was typed; `flags` maps the setting's dotted path to it."""
    try:
        yield
    except ConfigError as error:
        raise error.named_as_typed(flags) from None


def tiling(tile: int | None, overlap: float | None) -> "Tiling | None":
    """What `--tile` and `--overlap` stand for. Raises CondetrError that names the flag."""
    if tile is None:
        if overlap is not None:
            raise CondetrError(f"--overlap {overlap:g}: only with tiles. Add --tile N")
        return None
    from ..predicting.tiling import Tiling

    try:
        return Tiling(tile) if overlap is None else Tiling(tile, overlap)
    except CondetrError as error:
        raise CondetrError(f"--{error}") from None


def span(start: str | None, end: str | None) -> tuple[float | None, float | None]:
    """What `--start` and `--end` stand for, in seconds. Raises CondetrError that names the flag."""
    from ..videos.times import seconds_of

    begin, until = seconds_of(start, "--start"), seconds_of(end, "--end")
    if until is not None and until <= (begin or 0):
        raise CondetrError(f"--end {end}: must be later than --start {start or 0}")
    return begin, until


def whole_numbers(flag: str, text: str | None) -> list[int] | None:
    """The whole numbers of a list with commas. Raises CondetrError that names the flag."""
    try:
        return None if text is None else [int(word) for word in text.split(",")]
    except ValueError:
        raise CondetrError(f"{flag} {text}: give whole numbers with commas, for example 12,25,50") from None


def one_of(flag: str, word: str, *choices: str) -> str:
    """The word, if it is a choice. Raises CondetrError that names the flag and the choices."""
    if word not in choices:
        near = did_you_mean(nearest(word, choices))
        raise CondetrError(f"{flag} {word}: must be {' or '.join(choices)}{near}")
    return word
