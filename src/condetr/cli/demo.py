"""`condetr digits` and `condetr demo`: a small data set to try things on, and every step of a project on it."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ..plural import counted
from ..reports.terminal import printable
from .flags import as_typed
from .options import Quiet
from .streams import announce, results
from .values import naming_flags

DEMO_IMAGES = 3500


def digits(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="the folder to write; new or empty")],
    images: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="training images; a tenth as many in valid, a fifth in test, at least 20 in each",
        ),
    ] = 2000,
    size: Annotated[int, typer.Option(metavar="N", help="the side of each image, in pixels")] = 96,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="another seed gives another data set")] = 0,
) -> None:
    """Write a small data set to try things on: real handwritten digits on photographs."""
    from ..datasets.digits import make_digits

    make_digits(folder, images, size, seed)
    shown = printable(str(folder))
    amount = counted(images, "image")
    print(f"{shown}: {amount} to train on, with valid and test. Next, from scratch and without a download:")
    print(f"condetr train {shlex.quote(shown)} --recipe nano")


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="the folder to write; new or empty")] = Path("demo"),
    images: Annotated[int, typer.Option(metavar="N", min=10, help="images to train on")] = DEMO_IMAGES,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="epochs to train; default: the recipe's")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="the seed of the images and of the training")] = 0,
    quiet: Quiet = False,
) -> None:
    """Try everything in minutes: make images, train from scratch, evaluate, predict, and write a report."""
    announce("starting", "the demo")
    from ..demo import demo as run
    from ..training.live import live_progress
    from ..training.plan import duration
    from ..training.settings import resolve

    console = results(quiet)
    as_written = {
        "data.flip_chance": 0.0,
        "data.crop_chance": 0.0,
        "data.scales": [1.0],
    }  # a digit has one side to read
    with naming_flags({"train.epochs": "--epochs", "train.seed": "--seed"}):
        config = resolve("nano", {"epochs": epochs, "seed": seed}, as_written, None)
    with live_progress(console, as_typed) as progress:
        done = run(out, images, seed, config, progress, lambda line: console.print(line, markup=False, soft_wrap=True))
    if quiet:
        return
    summary = done.evaluation
    print(f"on the digits of test: AP {summary.ap:.3f}, AP50 {summary.ap50:.3f}")
    print(", ".join(f"{part} {duration(seconds)}" for part, seconds in done.seconds.items()))
    print(f"images with boxes: {printable(str(done.images))}")
    print(f"the report: {printable(str(done.report.resolve()))}")
