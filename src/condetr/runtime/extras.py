"""Imports of libraries that only an extra installs."""

import re
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from types import ModuleType

from ..errors import CondetrError


def imported(name: str, extra: str) -> ModuleType:
    """The library. Raises CondetrError, with the command that installs it, where it is missing, broken or too old."""
    install = f"pip install 'condetr[{extra}]'"
    _check_version(name, extra)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise CondetrError(f"{error.name or name} is not installed: {install}") from None
    except (ImportError, OSError) as error:
        raise CondetrError(f"{name} cannot be imported ({first_line(error)}). Install it again: {install}") from None


def _check_version(name: str, extra: str) -> None:
    """Raises CondetrError where the installed version is older than the extra asks for."""
    try:
        installed, needed = version(name), requires("condetr") or []
    except PackageNotFoundError:  # the import says so, or another distribution has this module
        return
    for one in needed:
        least = re.match(rf"{re.escape(name)}\b[^;]*>=([\d.]+).*extra == .{extra}\b", one)
        if least is not None and _numbers(installed) < _numbers(least[1]):
            update = f"pip install --upgrade 'condetr[{extra}]'"
            raise CondetrError(f"{name} {installed} is too old, at least {least[1]} is needed: {update}")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def first_line(error: BaseException | str) -> str:
    """The first line of a library's message, or of the text where it ends in a colon, at most 160 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:2]) if lines and lines[0].endswith(":") else next(iter(lines), type(error).__name__)
    return text if len(text) <= 160 else text[:159] + "…"
