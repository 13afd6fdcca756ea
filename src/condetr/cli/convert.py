"""`condetr convert`: weights from one format to another."""

from pathlib import Path
from typing import Annotated

import typer

from .options import one_of


def convert(
    source: Annotated[str, typer.Argument(help="an official .pth file, a weights folder, or a hub id")],
    out: Annotated[Path, typer.Argument(help="the folder to write")],
    to: Annotated[str, typer.Option(help="condetr, or transformers")] = "condetr",
    recipe: Annotated[str | None, typer.Option(help="the architecture, where a .pth does not say (DC5)")] = None,
) -> None:
    """Convert weights: official .pth files and transformers' folders in, our own or transformers' out."""
    from ..converting import convert as run

    weights = run(source, out, one_of("--to", to, "condetr", "transformers"), recipe)  # type: ignore[arg-type]
    print(f"{out}: {weights.config.recipe}, {len(weights.categories.real)} classes")
