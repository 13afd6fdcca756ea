"""Standard output and standard error: results go to the one, everything else to the other, in any encoding."""

import codecs
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

from rich.console import Console

from ..errors import CondetrError
from ..reports.terminal import ASCII, printable
from .flags import as_typed

PIPE_WIDTH = 120  # columns of a table that goes to a file or a pipe


def survive_any_encoding() -> None:
    """Characters that a stream cannot encode are written in ASCII, or as escapes, instead of ending the program."""
    codecs.register_error("condetr", _substitute)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # not where a test or a notebook has put another object in its place
            stream.reconfigure(errors="condetr")


def _substitute(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    characters = error.object[error.start : error.end]
    escape = "backslashreplace"
    return "".join(ASCII.get(c) or c.encode("ascii", escape).decode() for c in characters), error.end


def standard_input() -> Any:
    """A stream of the bytes of standard input; empty where the process has none."""
    return BytesIO() if sys.stdin is None else sys.stdin.buffer


def discard_output() -> None:
    """After standard output was closed: discard what is still to be written, without an error message at exit."""
    with suppress(OSError, AttributeError, ValueError):  # no file behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def flush_output() -> None:
    """Raises CondetrError where what was printed cannot be written, BrokenPipeError where its reader closed it."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_output()
        raise CondetrError(f"standard output: cannot be written ({error.strerror})") from None


def results(quiet: bool = False) -> Console:
    """Where results are shown. Lines are not wrapped; a table that is piped is `PIPE_WIDTH` wide."""
    if quiet:
        return Console(file=StringIO(), quiet=True)
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    return console


def messages() -> Console:
    """Where progress is shown."""
    return Console(stderr=True, highlight=False)


def message(text: str) -> None:
    """One line for a person, on standard error; arguments in backticks are printed as flags."""
    print(f"condetr: {printable(as_typed(text))}", file=sys.stderr, flush=True)


class _Announcements(logging.Handler):
    """What is being done, one line each on standard error; none twice."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if line not in self.lines:
            self.lines.add(line)
            message(line)


@contextmanager
def announcing(quiet: bool) -> Iterator[None]:
    """While the block runs, the package's log is shown: what takes long is named before it begins, unless `quiet`.

    Of several processes of torchrun only the first one shows it.
    """
    log = logging.getLogger("condetr")
    handler, level = _Announcements(), log.level
    if quiet or os.environ.get("RANK", "0") != "0":
        yield
        return
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def announce(doing: str, what: str | Path) -> None:
    """Say before heavy imports what is being done, such as "loading" and the weights. A path that does not exist is not
    announced: an error about it follows."""
    if not isinstance(what, Path) or what.exists():
        logging.getLogger("condetr.cli").info("%s %s", doing, what)
