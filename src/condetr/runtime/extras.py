"""Imports of libraries that only an extra installs."""

from importlib import import_module
from types import ModuleType

from ..errors import CondetrError


def imported(name: str, extra: str) -> ModuleType:
    """The library. Raises CondetrError, with the command that installs it, where it is missing or broken."""
    install = f"pip install 'condetr[{extra}]'"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise CondetrError(f"{error.name or name} is not installed: {install}") from None
    except (ImportError, OSError) as error:
        raise CondetrError(f"{name} cannot be imported ({first_line(error)}). Install it again: {install}") from None


def first_line(error: BaseException | str) -> str:
    """The first line of a library's message, or of the text where it ends in a colon, at most 160 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:2]) if lines and lines[0].endswith(":") else next(iter(lines), type(error).__name__)
    return text if len(text) <= 160 else text[:159] + "…"
