"""`condetr digits` and `condetr demo`: a small data set to try things on, and the whole way through on it."""

from pathlib import Path
from typing import Annotated

import typer

DEMO_IMAGES = 3500


def digits(
    folder: Annotated[Path, typer.Argument(help="the folder to write; new or empty")],
    images: Annotated[int, typer.Option(help="for training; a tenth as many for valid, a fifth for test")] = 2000,
    size: Annotated[int, typer.Option(help="side of each image, in pixels")] = 96,
    seed: Annotated[int, typer.Option(help="another seed is another data set")] = 0,
) -> None:
    """Write a small data set to try things on: real handwritten digits on photographs."""
    from ..datasets.digits import make_digits

    make_digits(folder, images, size, seed)
    print(f"{folder}: {images} images to train on, with valid and test. Next: condetr train {folder}")


def demo(
    out: Annotated[Path, typer.Option(help="the folder to write; new or empty")] = Path("demo"),
    images: Annotated[int, typer.Option(min=10, help="to train on")] = DEMO_IMAGES,
    epochs: Annotated[int | None, typer.Option(help="train.epochs")] = None,
    seed: Annotated[int, typer.Option(help="of the images and of the training")] = 0,
) -> None:
    """The whole way in minutes: make images, train from nothing, evaluate, predict, and a report to open."""
    from rich.console import Console

    from ..demo import demo as run
    from ..training.live import following
    from ..training.plan import duration
    from ..training.settings import resolve

    console = Console()
    as_written = {
        "data.flip_chance": 0.0,
        "data.crop_chance": 0.0,
        "data.scales": [1.0],
    }  # a digit has one side to read
    config = resolve("nano", {"epochs": epochs, "seed": seed}, as_written, None)
    with following(console) as progress:
        done = run(out, images, seed, config, progress, lambda line: console.print(line, highlight=False))
    summary = done.evaluation
    print(f"on digits nobody has seen: AP {summary.ap:.3f}, AP50 {summary.ap50:.3f}")
    print(", ".join(f"{part} {duration(seconds)}" for part, seconds in done.seconds.items()))
    print(f"images with boxes: {done.images}")
    print(f"the report: {done.report.resolve()}")
