"""The subcommands: the only room that prints or exits. Each takes its words apart, calls one verb and shows what it
returns; nothing heavy is imported before a command runs."""

import logging
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from ..errors import CondetrError
from .compare import compare
from .convert import convert
from .demo import demo, digits
from .doctor import doctor
from .evaluate import evaluate
from .explain import explain
from .predict import predict
from .recipes import recipes
from .train import train

app = typer.Typer(
    name="condetr",
    help="Conditional DETR: train it on your images, run it, and see what it looks at.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Interrupted(CondetrError):
    """Ctrl-C, where the command itself makes nothing of it."""

    status = 130


def heeding(command: Callable[..., None]) -> Callable[..., None]:
    """The command, whose Ctrl-C ends in a line: typer would end it in none."""

    @wraps(command)
    def heeded(*words: Any, **options: Any) -> None:
        try:
            command(*words, **options)
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None

    return heeded


for command in (train, predict, evaluate, explain, compare, doctor, convert, recipes, demo, digits):
    app.command()(heeding(command))


def main() -> None:
    """The entry point: a user's mistake is one line on standard error and a non-zero exit, never a traceback."""
    # Pillow warns about odd metadata of images that it can read; `condetr doctor` reports images that it cannot
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        app()
    except CondetrError as error:
        if error.spoken:
            print(f"condetr: {error}", file=sys.stderr)
        sys.exit(error.status)
    except BrokenPipeError:
        sys.exit(141)
