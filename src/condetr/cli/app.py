"""The subcommands: the only room that prints or exits. Each takes its words apart, calls one verb and shows what it
returns; nothing heavy is imported before a command runs."""

import sys

import typer

from ..errors import CondetrError
from .judging import doctor, evaluate
from .learning import compare, train
from .making import convert, demo, digits, recipes
from .pictures import explain, predict

app = typer.Typer(
    name="condetr",
    help="Conditional DETR: train it on your pictures, run it, and see what it looks at.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (train, predict, evaluate, explain, compare, doctor, convert, recipes, demo, digits):
    app.command()(command)


def main() -> None:
    """The entry point: a user's mistake is one line on standard error and a non-zero exit, never a traceback."""
    try:
        app()
    except CondetrError as error:
        if error.spoken:
            print(f"condetr: {error}", file=sys.stderr)
        sys.exit(error.status)
    except KeyboardInterrupt:
        print("condetr: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
