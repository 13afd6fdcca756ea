"""The commands, put together; with `streams`, the only code that prints or exits. Nothing heavy is imported before a
command runs."""

import logging
import os
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Annotated

import typer

from ..errors import CondetrError
from .benchmark import benchmark
from .bulk import bulk
from .command import ClosedOutput, Command, Group, Interrupted, explanation, guarded
from .compare import compare
from .convert import convert
from .demo import demo, digits
from .doctor import doctor
from .evaluate import evaluate
from .explain import explain
from .export import export
from .grow import grow
from .predict import predict
from .recipes import recipes
from .sample import sample
from .serve import serve
from .stopping import listening, status_of
from .streams import discard_output, flush_output, message, open_closed_streams, survive_any_encoding
from .train import train

GROUPS = {
    "First steps": (demo, digits),
    "Data and training": (sample, doctor, train, evaluate, compare, recipes),
    "Using a detector": (predict, bulk, explain, serve, export, benchmark, convert, grow),
}

app = typer.Typer(
    name="condetr",
    cls=Group,
    help="Conditional DETR: train it on your images, detect objects with it, and see its attention maps.",
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def show_version(wanted: bool) -> bool:
    if wanted:
        print(f"condetr {_version('condetr')} (torch {_version('torch')}, Python {python_version()})")
        raise typer.Exit
    return wanted


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Options before the command."""


for group, commands in GROUPS.items():
    for command in commands:
        app.command(cls=Command, rich_help_panel=group)(guarded(command))


def main() -> None:
    """The entry point. A user's mistake is one line on standard error and a non-zero exit status, not a traceback."""
    open_closed_streams()
    survive_any_encoding()
    with listening():
        _run()


def _run() -> None:
    if not _has_folder():
        _fail(CondetrError("the current folder does not exist any more. Change to another one"))
    # Pillow warns about odd metadata of images that it can read; `condetr doctor` reports images that it cannot
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for library in ("PIL", "matplotlib"):  # matplotlib reports at length that there is no home folder
        logging.getLogger(library).addHandler(logging.NullHandler())
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # two lines for each retry; the last failure is in the message
    try:
        try:
            app(prog_name="condetr")
        finally:
            flush_output()
    except CondetrError as error:
        _fail(error)
    except KeyboardInterrupt as interrupt:
        _fail(Interrupted(status_of(interrupt)))
    except BrokenPipeError:
        discard_output()
        _fail(ClosedOutput())
    except OSError as error:  # of the parser, which prints help
        explained = explanation(error)
        if explained is None:
            raise
        _fail(explained)


def _has_folder() -> bool:
    """Whether the current folder exists: without one, torch's libraries cannot be loaded."""
    try:
        return bool(os.getcwd())
    except OSError:
        return False


def _fail(error: CondetrError) -> None:
    if not error.silent:
        message(str(error))
    sys.exit(error.status)
