"""Checks of the arguments of public functions: a value of a wrong type is a one-line CondetrError that names it."""

import operator
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from types import UnionType
from typing import Any

from .errors import CondetrError
from .home import with_home
from .text import shortened


def path_of(value: Any, name: str, error: type[CondetrError] = CondetrError) -> Path:
    """The path that the argument `name` gives as text or as a path-like object. Raises `error` for one that the system
    does not look up."""
    if not isinstance(value, str | os.PathLike) or value == "":
        raise wrong(value, name, "a path")
    path = with_home(value if isinstance(value, str) else Path(os.fsdecode(value)))
    check_path(path, error)
    return path


def check_characters(value: str, name: str) -> None:
    """Raises CondetrError for text with a character that no file's name has: 0, or half of a pair of surrogates."""
    try:
        if b"\0" not in os.fsencode(value):
            return
    except UnicodeEncodeError:
        pass
    raise CondetrError(f"{name}: {shortened(repr(value))}: no file can have this name")


def check_path(path: Path, error: type[CondetrError] = CondetrError) -> None:
    """Raises `error` for a path that the system does not look up: with a name that no file can have, with a folder
    that this user may not enter, or with links in a circle. The file itself need not exist."""
    try:
        os.stat(os.path.join(path, "."))  # of a folder, whether it may be entered
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as reason:
        raise error(f"{shortened(str(path))}: cannot be opened ({(reason.strerror or str(reason)).lower()})") from None
    except ValueError:  # a character 0, or half of a pair of surrogates
        raise error(f"{shortened(repr(str(path)))}: no file can have this name") from None


def whole_number(value: Any, name: str, least: int | None = None) -> int:
    """The whole number, also one of numpy's, not smaller than `least`."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise wrong(value, name, "a whole number")
    if least is not None and number < least:
        raise CondetrError(f"{name} {number}: must be at least {least}")
    return number


def one_of(value: Any, name: str, choices: Collection[str]) -> str:
    """The text, if it is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise wrong(value, name, " or ".join(choices))
    return value


def names_of(value: Any, name: str) -> list[str]:
    """The names in a list or another iterable; text alone is a single name."""
    names = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else [value]
    for one in names:
        if not isinstance(one, str):
            raise wrong(one, name, "names")
    return names


def instance_of(value: Any, name: str, kind: type | UnionType, expected: str) -> None:
    """Raises CondetrError for a value that is no instance of `kind`, described as `expected`."""
    if not isinstance(value, kind):
        raise wrong(value, name, expected)


def check_flags(**flags: Any) -> None:
    """Raises CondetrError for an argument that is neither True nor False, such as the text "no"."""
    for name, value in flags.items():
        if type(value).__name__ not in ("bool", "bool_"):  # Python's and numpy's
            raise wrong(value, name, "True or False")


def check_progress(value: Any) -> None:
    """Raises CondetrError for a `progress` that is neither None nor callable."""
    if value is not None and not callable(value):
        raise wrong(value, "progress", "a function")


def wrong(value: Any, name: str, expected: str) -> CondetrError:
    """The error for a value that is not what is expected. Short text and numbers are shown, of others the type."""
    shown = repr(value) if isinstance(value, str | float) else "None" if value is None else type(value).__name__
    return CondetrError(f"{name}: expected {expected}, got {shown[:80]}")


def with_article(value: Any) -> str:
    """The type of a value for a sentence: "an int", "a list", "None"."""
    kind = type(value).__name__
    return "None" if value is None else f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
