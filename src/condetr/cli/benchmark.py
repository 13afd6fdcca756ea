"""`condetr benchmark`: which runtime is fastest on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Quiet, existing_data, existing_weights_argument
from .progress import progress_bar
from .streams import announce, messages, results


def benchmark(
    weights: Annotated[
        str,
        typer.Argument(
            metavar="WEIGHTS",
            help="a folder of weights, a hub id, or an exported file",
            callback=existing_weights_argument,
        ),
    ],
    images: Annotated[list[str], typer.Argument(metavar="IMAGES", help="images, folders or globs")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DATA", help="also measure AP on this labelled data set", callback=existing_data
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="how often each image is predicted")] = 5,
    quiet: Quiet = False,
) -> None:
    """Compare the runtimes on this machine: time of one image, images per second, and AP."""
    announce("loading", weights)
    from ..exporting.benchmark import benchmark as verb
    from ..exporting.terminal import benchmark_table

    with progress_bar("rounds", messages(), hidden=quiet) as progress:
        measured = verb(weights, images, data=data, rounds=rounds, progress=progress)
    results(quiet).print(benchmark_table(measured))
