"""`condetr doctor`: the contents of a data set, and its defects."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ..files import check_writable
from ..reports.terminal import printable
from .options import Data, FollowOutside, Json, Quiet
from .progress import progress_bar
from .streams import announce, messages, remark, results


def doctor(
    data: Data,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="write doctor.html and doctor.json to it")] = None,
    json_: Json = False,
    queries: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="the maximum number of objects in an image")
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="read only the headers of the images")] = False,
    follow_outside: FollowOutside = False,
    quiet: Quiet = False,
) -> None:
    """Check a data set: counts, and every defect with its place and what training does about it.

    The exit status is 0 if a detector can be trained on it, else 1.
    """
    announce("reading", data)
    from ..config import Model
    from ..examining.cache import facts_folder
    from ..examining.examine import examine
    from ..examining.terminal import tables

    if out is not None:
        check_writable(out)
    with progress_bar("inspecting the images", messages(), hidden=quiet) as progress:
        diagnosis = examine(
            data,
            queries=queries or Model().queries,
            decode_pixels=not fast,
            follow_outside=follow_outside,
            cache=facts_folder(),
            progress=progress,
        )
    if json_:
        print(json.dumps(diagnosis.to_dict()))
    else:
        results(quiet).print(tables(diagnosis))
    if out is not None:
        page = diagnosis.write(out)
        if not quiet:
            remark(f"page: {printable(str(page))}", aside=json_)
    elif not (json_ or quiet):
        print("--out DIR writes a page with the worst images drawn, and everything as JSON")
    if diagnosis.refusal is not None:
        raise typer.Exit(1)
