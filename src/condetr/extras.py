"""Imports of libraries that only an extra installs, such that they send no usage data."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from types import ModuleType

from .errors import CondetrError, first_line

REPORTING = "openvino_telemetry"


def imported(name: str, extra: str) -> ModuleType:
    """The library. Raises CondetrError, with the command that installs it, where it is missing, broken or too old."""
    install = f"pip install 'condetr[{extra}]'"
    _check_version(name, extra)
    try:
        with _without_usage_data():
            return import_module(name)
    except ModuleNotFoundError as error:
        raise CondetrError(f"{error.name or name} is not installed: {install}") from None
    except (ImportError, OSError) as error:
        raise CondetrError(f"{name} cannot be imported ({first_line(error)}). Install it again: {install}") from None


@contextmanager
def _without_usage_data() -> Iterator[None]:
    """Inside the block, libraries are imported such that they report nothing to their makers.

    openvino reports its import, and nncf every call, through a library; without it they report nothing. onnxruntime
    (1.29 and later) reports every session from native code, unless this variable is set before it is imported; the
    variable stays, for the processes that this one starts.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    before = {REPORTING: sys.modules[REPORTING]} if REPORTING in sys.modules else {}
    sys.modules[REPORTING] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[REPORTING]
        sys.modules.update(before)


def _check_version(name: str, extra: str) -> None:
    """Raises CondetrError where the installed version is older than the extra asks for."""
    try:
        installed, needed = version(name), requires("condetr") or []
    except PackageNotFoundError:  # the import says so, or another distribution has this module
        return
    for one in needed:
        least = re.match(rf"{re.escape(name)}\b[^;]*>=([\d.]+).*extra == .{extra}\b", one)
        if least is not None and _numbers(installed) < _numbers(least[1]):
            update = f"pip install -U 'condetr[{extra}]'"
            raise CondetrError(f"{name} {installed} is too old, at least {least[1]} is needed: {update}")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]
