"""How the command line is parsed: an unknown word is a one-line error with a suggestion, and exit status 2."""

import errno
import os
import re
from collections.abc import Callable
from functools import wraps
from itertools import groupby
from traceback import walk_tb
from typing import Any

from typer.core import TyperCommand, TyperGroup

from ..errors import CondetrError, ConfigError
from ..home import text_with_home
from ..suggestions import did_you_mean, nearest
from .flags import WORDS, as_typed
from .stopping import status_of
from .streams import announcing, discard_output
from .usage import UsageError, usage_line

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # errors of a full or failing disk

PRINTING = ("condetr.cli.", "rich.", "typer.")  # modules that print


class Misused(CondetrError):
    """Invalid command line arguments."""

    status = 2


class Interrupted(CondetrError):
    """Ctrl-C or SIGTERM in a command that does not handle it."""

    def __init__(self, status: int) -> None:
        super().__init__("interrupted")
        self.status = status


class ClosedOutput(CondetrError):
    """Standard output was closed by its reader, as by `| head`: exits without a message."""

    status, silent = 141, True


class Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raises Misused."""
        words = ctx.meta[WORDS] = list(args)  # the parser consumes its list
        try:
            return super().parse_args(ctx, [_with_home(word) for word in args])
        except UsageError as error:
            raise Misused(usage_line(error, ctx.command_path, words)) from None

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces = (piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx))
        return ["DATA" if piece == "DATA..." else piece for piece in pieces]  # a second one is parsed to be refused

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The arguments, without the Python types that typer writes beside them (`IMAGES <list[str]>`); the options."""
        records = [(one.param_type_name, one.get_help_record(ctx)) for one in self.get_params(ctx)]
        for heading in ("Arguments", "Options"):
            kind = heading.lower().removesuffix("s")
            rows = [(re.sub(r" <.*>$", "", row[0]), row[1]) for of, row in records if of == kind and row is not None]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


class Group(TyperGroup):
    """The commands in groups by purpose: `rich_help_panel` names a command's group."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raises Misused."""
        if not args:
            args = ["--help"]
        words = list(args)  # the parser consumes its list
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            raise Misused(usage_line(error, ctx.command_path, words)) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Raises Misused for a command that does not exist."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            near = did_you_mean(nearest(args[0], self.commands))
            raise Misused(f"{args[0]}: no such command{near or '. See `condetr --help`'}")
        try:
            return super().resolve_command(ctx, args)
        except UsageError as error:
            raise Misused(usage_line(error, ctx.command_path, args)) from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands: list[Any] = [command for command in self.commands.values() if not command.hidden]
        width = max(len(command.name or "") for command in commands)
        for group, members in groupby(commands, lambda command: command.rich_help_panel):
            with formatter.section(group):
                formatter.write_dl([(f"{one.name:{width}}", one.get_short_help_str(200)) for one in members])


def _with_home(word: str) -> str:
    """A path with the home folder in place of `~`, also that of an option: `--out=~/x`, which shells leave as it is."""
    option = re.match(r"--[\w-]+=", word)
    start = option.end() if option else 0
    return word[:start] + text_with_home(word[start:])


def _raised_in(error: Exception) -> str:
    """The name of the module in which an error was raised."""
    name = ""
    for frame, _ in walk_tb(error.__traceback__):
        name = str(frame.f_globals.get("__name__"))
    return name


def explanation(error: Exception) -> CondetrError | None:
    """One line about a failure of the system: of a file, of the disk, of memory, of a device. None for other errors."""
    if isinstance(error, OSError):
        if isinstance(error.filename, str | bytes | os.PathLike):
            return CondetrError(f"{os.fsdecode(error.filename)}: {error.strerror or type(error).__name__}")
        if error.errno in FULL and _raised_in(error).startswith(PRINTING):
            discard_output()
            return CondetrError(f"standard output: cannot be written ({error.strerror})")
        if error.errno in FULL:
            return CondetrError(f"a file cannot be written ({error.strerror}). Free some space and run again")
    text = str(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text.lower():
        return CondetrError("out of memory. Use smaller images or fewer at a time, or close other programs")
    if isinstance(error, NotImplementedError) and "MPS" in text:
        return CondetrError(
            "this device, mps, lacks an operator that is needed. Use --device cpu, or set "
            "PYTORCH_ENABLE_MPS_FALLBACK=1, which computes such operators on the CPU"
        )
    return None


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """The command, where Ctrl-C, SIGTERM and a closed pipe end in a CondetrError with the exit status of each,
    and errors name flags instead of arguments."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            with announcing(bool(options.get("quiet"))):
                command(*arguments, **options)
        except CondetrError as error:
            if isinstance(error, ConfigError):
                error = error.named_as_typed({"device": "--device"})
            error.args = (as_typed(str(error)),)
            raise error from None
        except KeyboardInterrupt as interrupt:
            raise Interrupted(status_of(interrupt)) from None
        except BrokenPipeError:
            discard_output()
            raise ClosedOutput from None
        except (OSError, MemoryError, RuntimeError) as error:  # NotImplementedError is a RuntimeError
            if isinstance(error.__cause__, KeyboardInterrupt):  # Python 3.11, at a signal while a class is created
                raise Interrupted(status_of(error.__cause__)) from None
            explained = explanation(error)
            if explained is None:
                raise
            raise explained from None

    return run
