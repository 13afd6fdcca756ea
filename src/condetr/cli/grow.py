"""`condetr grow`: more object queries for trained weights."""

from pathlib import Path
from typing import Annotated

import typer

from ..reports.terminal import printable
from .options import WeightsArgument
from .values import naming_flags


def grow(
    weights: WeightsArgument,
    queries: Annotated[
        int, typer.Option(metavar="N", help="object queries in all: the maximum number of objects in an image")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="the folder to write, new or empty")],
) -> None:
    """Add object queries to trained weights, to train them for more objects."""
    from ..growing import grow as run

    with naming_flags({"model.queries": "--queries"}):
        grown = run(weights, queries=queries, out=out)
    folder = printable(str(out))
    print(f"{folder}: {grown.config.model.queries} queries. Train them: condetr train DATA --init {folder}")
