"""`condetr recipes`: the training recipes and their settings."""

from typing import Annotated

import typer

from ..reports.terminal import Column, FittedTable
from .options import Set
from .streams import results
from .values import naming_flags, settings


def recipes(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="print the settings of this recipe")] = None,
    set_: Set = None,
) -> None:
    """List the recipes, or print every setting of one as JSON."""
    from .. import config
    from ..recipes import RECIPES, recipe
    from ..training.length import FEWEST, MOST

    if name is not None:
        values = settings(set_)
        with naming_flags({"recipe": "NAME", **dict.fromkeys(values, "--set")}):
            resolved = config.override(recipe(name), values)
        print(resolved.model_dump_json(indent=2))
        return
    table = FittedTable(
        Column("recipe", kind="word"), Column("decoder", 2, "word"), Column("backbone", 4, "word"),
        Column("stride", 5), Column("queries", 3), Column("size", 6), Column("epochs", 1),
    )  # fmt: skip
    for each, make in RECIPES.items():
        one = make()
        backbone = one.model.backbone
        epochs = f"{FEWEST}–{MOST}" if one.train.steps else one.train.epochs  # chosen by the number of images
        numbers = (backbone.stride, one.model.queries, one.data.size, epochs)
        table.add_row(each, one.model.decoder.kind, backbone.name, *map(str, numbers))
    results().print(table)
