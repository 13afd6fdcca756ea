"""`condetr compare`: train several models side by side and measure how soon each learns."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import CondetrError
from .options import Device, settings, whole_numbers


def compare(
    data: Annotated[Path, typer.Argument(help="a data set with a split to measure on")],
    models: Annotated[
        str | None, typer.Option(help="recipes or variants, with commas, e.g. detr,conditional_detr")
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="a ready-made list: headline, transforms, queries, references, starts, ladder")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="what variants start from; nano or small if not given")] = None,
    epochs: Annotated[str | None, typer.Option(help="complete schedules, e.g. 12,25,50")] = None,
    seeds: Annotated[int, typer.Option(help="trainings of each model and schedule", min=1)] = 3,
    budget: Annotated[float | None, typer.Option(help="minutes for all; what does not fit is left out")] = None,
    reference: Annotated[str | None, typer.Option(help="the model to compare with; the first one")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="path=value for all models, MODEL:path=value for one; repeatable")
    ] = None,
    hold_out: Annotated[
        float | None, typer.Option(help="measure on this part of the training images, where there is no valid")
    ] = None,
    out: Annotated[Path, typer.Option(help="the folder of the study; again the same: it goes on")] = Path("comparison"),
    runs: Annotated[Path | None, typer.Option(help="a folder of runs to share with other studies")] = None,
    device: Device = None,
    jobs: Annotated[int, typer.Option(help="trainings at a time", min=1)] = 1,
) -> None:
    """How much sooner does one model learn than another? Trains them side by side, and reports it."""
    from rich.console import Console

    from ..comparing import compare as verb
    from ..comparing import variants
    from ..comparing.compared import Event
    from ..comparing.terminal import lines, shown
    from .progress import bar

    if (models is None) == (study is None):
        both = "not both; " if models is not None else ""
        raise CondetrError(
            f"compare: give --models A,B or --study, {both}the studies are {', '.join(variants.STUDIES)}"
        )
    names = models.split(",") if models is not None else variants.study(study or "")
    if not all(name.strip() for name in names):
        raise CondetrError(f"--models {models}: a name is missing between two commas")
    console = Console(highlight=False, soft_wrap=True)
    done, total = 0, 0
    with bar("epochs", console) as count:

        def tell(event: Event) -> None:
            nonlocal done, total
            if isinstance(event, verb.Planned):
                total = sum(run.epochs for run in event.left)
            done += isinstance(event, verb.Advanced)
            count(done, total)
            for line in lines(event):
                console.print(line, markup=False)

        compared = verb.compare(
            data, [name.strip() for name in names], out, recipe=recipe, settings=settings(set_),
            epochs=whole_numbers("--epochs", epochs), seeds=seeds, budget=budget, reference=reference,
            hold_out=hold_out, runs=runs, device=device, jobs=jobs, tell=tell,
        )  # fmt: skip
    console.print(shown(compared.comparison), soft_wrap=False)
    print(f"page: {out / 'report.html'}, numbers: {out / 'comparison.json'}")
    if compared.unfinished:
        raise CondetrError("; ".join(compared.problems[:3]) or f"not done: {', '.join(compared.unfinished)}")
