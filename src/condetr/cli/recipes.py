"""`condetr recipes`: the training recipes and their settings."""

from typing import Annotated

import typer

from .options import Set, settings


def recipes(
    name: Annotated[str | None, typer.Argument(help="show this recipe's settings")] = None,
    set_: Set = None,
) -> None:
    """List the recipes, or every setting of one."""
    from .. import config
    from ..recipes import RECIPES, recipe

    if name is None:
        for each, make in RECIPES.items():
            c = make()
            model = f"{c.model.decoder.kind}, {c.model.backbone.name}/{c.model.backbone.stride}"
            print(f"{each:28}{model:28}{c.model.queries:4} queries{c.data.size:6} px{c.train.epochs:5} epochs")
        return
    print(config.override(recipe(name), settings(set_)).model_dump_json(indent=2))
