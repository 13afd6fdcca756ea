"""`condetr convert`: weights from one format to another."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..plural import counted
from ..reports.terminal import printable
from .options import existing_weights_argument
from .streams import announce
from .values import one_of


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="an official .pth file, a folder of weights, or a hub id",
            callback=existing_weights_argument,
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="the folder to write")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="condetr or transformers")] = "condetr",
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="the model's recipe, if a .pth file does not record it (DC5)"),
    ] = None,
) -> None:
    """Convert weights (official .pth, transformers or condetr) to condetr's format or transformers'."""
    format: Any = one_of("--to", to, "condetr", "transformers")
    announce("loading", source)
    from ..converting import convert as run

    weights = run(source, out, to=format, recipe=recipe)
    classes = counted(len(weights.categories.real), "class")
    print(f"{printable(str(out))}: {printable(weights.config.recipe)}, {classes}")
