"""`condetr doctor`: the contents of a data set, and its defects."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..files import check_writable
from .options import Data


def doctor(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="a folder for doctor.html and doctor.json")] = None,
    json_: Annotated[bool, typer.Option("--json", help="print JSON for machines instead of tables")] = False,
    queries: Annotated[int | None, typer.Option(min=1, help="how many objects the model can answer")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="read the images' headers only")] = False,
) -> None:
    """Look a data set over: counts, and every defect with its place and what training does about it.

    The exit status is 0 when it can be trained on, 1 when not.
    """
    from rich.console import Console

    from ..config import Model
    from ..examining.cache import cache_folder
    from ..examining.examine import examine
    from ..examining.terminal import shown
    from .progress import bar

    if out is not None:
        check_writable(out)
    with bar("inspecting the images", Console(stderr=True)) as progress:
        diagnosis = examine(
            data, queries=queries or Model().queries, decode_pixels=not fast, cache=cache_folder(), progress=progress
        )
    if json_:
        print(json.dumps(diagnosis.to_dict()))
    else:
        Console().print(shown(diagnosis))
    if out is not None:
        print(f"page: {diagnosis.write(out)}", file=sys.stderr if json_ else sys.stdout)
    elif not json_:
        print("--out DIR writes a page with the worst images drawn, and all of it as JSON")
    if diagnosis.refusal is not None:
        raise typer.Exit(1)
