"""Conversion of weights from the official `.pth` files, the hub or folders, to condetr's format or transformers'."""

import os
from pathlib import Path
from typing import Literal

from . import checkpoint, interchange
from .arguments import instance_of, path_of
from .engine.torch_defaults import torch_defaults
from .errors import WeightsError
from .files import check_new_folder
from .home import text_with_home

Format = Literal["condetr", "transformers"]


@torch_defaults()
def convert(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    to: Format = "condetr",
    recipe: str | None = None,
) -> checkpoint.Weights:
    """Read weights of any known format and write them to `folder`, new or empty; returns the weights.

    `source` is an official `.pth` file, a folder of weights or a hub id. `recipe` names the architecture of a `.pth`
    file that does not record whether it is DC5. Raises WeightsError for weights that cannot be read, or that the format
    `to` cannot hold.
    """
    path_of(source, "source", WeightsError)
    source, folder = text_with_home(os.fspath(source)), path_of(folder, "folder")
    if to not in ("condetr", "transformers"):
        raise WeightsError(f"convert: to={to!r}: there are condetr and transformers")
    instance_of("" if recipe is None else recipe, "recipe", str, "the name of a recipe")
    if recipe is not None and not Path(source).is_file():
        raise WeightsError(f"`recipe={recipe!r}`: only for .pth files; other weights have their settings with them")
    check_new_folder(folder)
    if Path(source).is_file():
        weights = checkpoint.Weights(*interchange.read_official(Path(source), recipe), thresholds=None)
        checkpoint.check_finite(weights.detector, source)
    else:
        weights = checkpoint.load(source)
    card = checkpoint.model_card(weights, converted_from=Path(source).name)
    if to == "transformers":
        interchange.write_transformers(folder, weights.detector, weights.config, weights.categories, card)
    else:
        checkpoint.save(folder, weights, card)
    return weights
