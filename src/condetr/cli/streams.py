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


def open_closed_streams() -> None:
    """Where the process was started without standard streams, as by `2>&-`, their descriptors are the null device's.

    Else the next file that is opened takes the descriptor, and libraries write their messages into that file; and
    `print` to a standard error that does not exist writes to standard output, between the results.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor, which is this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def abandon_terminal() -> None:
    """After the terminal was closed: what is still printed to it is discarded, instead of raising OSError."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")  # writes nothing, and fails where the terminal is gone
        except OSError:
            os.dup2(null, descriptor)
    os.close(null)


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
    with _named():
        sys.stdout.flush()


class StandardOutput:
    """Standard output as a text stream for results; errors of a full disk name it.

    `write` and `flush` raise CondetrError if the text cannot be written, BrokenPipeError if the reader closed it.
    """

    def write(self, text: str) -> int:
        with _named():
            return sys.stdout.write(text)

    def flush(self) -> None:
        flush_output()


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_output()
        raise CondetrError(f"standard output: cannot be written ({error.strerror})") from None


class _Console(Console):
    """Raises BrokenPipeError at a closed pipe, as `print` does; rich's own exits with status 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def results(quiet: bool = False) -> Console:
    """Where results are shown. Lines are not wrapped; a table that is piped is `PIPE_WIDTH` wide."""
    if quiet:
        return Console(file=StringIO(), quiet=True)
    console = _Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    return console


def messages() -> Console:
    """Where progress is shown."""
    return _Console(stderr=True, highlight=False)


def message(text: str) -> None:
    """One line for a person, on standard error; arguments in backticks are printed as flags.

    A line that cannot be written is dropped: neither results nor a training are lost for it.
    """
    with suppress(OSError):
        print(f"condetr: {printable(as_typed(text))}", file=sys.stderr, flush=True)


def remark(line: str, aside: bool) -> None:
    """A line after the results: on standard output, or `aside`, where they are JSON, on standard error."""
    if not aside:
        print(line)
        return
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


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
