"""`condetr compare`: train several models side by side and measure how soon each learns."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import CondetrError
from ..reports.terminal import printable
from .flags import as_typed
from .options import Device, FollowOutside, Quiet, existing_data
from .progress import progress_bar
from .streams import announce, messages, results
from .values import settings, whole_numbers, words


def compare(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="a data set with a valid split, or give --hold-out", callback=existing_data
        ),
    ],
    models: Annotated[
        str | None, typer.Option(metavar="A,B", help="recipes or variants, e.g. detr,conditional_detr")
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="a predefined list of models: headline, transforms, queries, references, starts, ladder, levers",
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME", help="the recipe that the variants change; default: nano or small")
    ] = None,
    epochs: Annotated[str | None, typer.Option(metavar="N,N", help="complete schedules, e.g. 12,25,50")] = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="trainings of each model and schedule", min=1)] = 3,
    budget: Annotated[
        float | None,
        typer.Option(metavar="MINUTES", help="time for the whole study; runs that do not fit are left out"),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="MODEL", help="the model to compare with; default: the first")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=VALUE", help="a setting for all models, or MODEL:PATH=VALUE for one; repeatable"
        ),
    ] = None,
    hold_out: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="measure on this share of the training images, if there is no valid split"),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="the folder of the study; an existing study is resumed")
    ] = Path("comparison"),
    runs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="a folder of runs to share with other studies")
    ] = None,
    device: Device = None,
    jobs: Annotated[int, typer.Option(metavar="N", help="trainings at a time", min=1)] = 1,
    follow_outside: FollowOutside = False,
    quiet: Quiet = False,
) -> None:
    """Measure how many epochs models need: train them side by side, and write a report."""
    announce("reading", data)
    from ..comparing import compare as verb
    from ..comparing import variants
    from ..comparing.plan import Event, Plan
    from ..comparing.runner import EpochDone
    from ..comparing.terminal import lines, tables

    if (models is None) == (study is None):
        both = "not both; " if models is not None else ""
        raise CondetrError(
            f"compare: give --models A,B or --study NAME, {both}the studies are {', '.join(variants.STUDIES)}"
        )
    names = words("--models", models) if models is not None else variants.study(study or "")
    console = results(quiet)
    done, total = 0, 0
    with progress_bar("epochs", console if console.is_terminal else messages(), hidden=quiet) as count:

        def show(event: Event) -> None:
            nonlocal done, total
            if isinstance(event, Plan):
                total = sum(run.epochs for run in event.remaining)
            done += isinstance(event, EpochDone)
            count(done, total)
            for line in lines(event):
                console.print(printable(as_typed(line)), markup=False, soft_wrap=True)

        comparison = verb.compare(
            data, names, out, recipe=recipe, settings=settings(set_), epochs=whole_numbers("--epochs", epochs),
            seeds=seeds, budget=budget, reference=reference, hold_out=hold_out, runs=runs, device=device, jobs=jobs,
            follow_outside=follow_outside, progress=show,
        )  # fmt: skip
    console.print(tables(comparison.results))
    if not quiet:
        page, numbers = (printable(str(out / name)) for name in ("report.html", "comparison.json"))
        print(f"page: {page}, numbers: {numbers}")
    if comparison.unfinished:
        raise CondetrError("; ".join(comparison.problems[:3]) or f"not done: {', '.join(comparison.unfinished)}")
