"""`condetr train` and `condetr compare`: one model on your images, or several side by side."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import CondetrError
from .options import Data, Device, Set, settings, whole_numbers


def train(
    data: Data,
    recipe: Annotated[str | None, typer.Option(help="see `condetr recipes`; small and nano suit small data")] = None,
    out: Annotated[Path | None, typer.Option(help="the folder of the run; runs/NAME if not given")] = None,
    init: Annotated[
        str | None, typer.Option("--init", "--weights", help="imagenet, none, a backbone's file, a folder, a hub id")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="train.epochs")] = None,
    batch: Annotated[int | None, typer.Option(help="train.batch: images in a step, over all processes")] = None,
    lr: Annotated[float | None, typer.Option(help="train.lr: the rate; the backbone's is a multiple of it")] = None,
    size: Annotated[int | None, typer.Option(help="data.size: the short side, in pixels")] = None,
    queries: Annotated[int | None, typer.Option(help="model.queries: how many objects an image may have")] = None,
    seed: Annotated[int | None, typer.Option(help="train.seed")] = None,
    precision: Annotated[str | None, typer.Option(help="train.precision: fp32, bf16 or fp16")] = None,
    set_: Set = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on where the run stands, or start it")] = False,
    device: Device = None,
    workers: Annotated[int | None, typer.Option(help="threads that read images ahead", min=0)] = None,
    micro_batch: Annotated[int | None, typer.Option(help="images at a time, where memory is short", min=1)] = None,
    track: Annotated[list[str] | None, typer.Option(help="tensorboard, wandb, mlflow, trackio; repeatable")] = None,
) -> None:
    """Train on your images. Under torchrun all processes train together."""
    from rich.console import Console

    from ..training.live import following
    from ..training.run_folder import RunFolder
    from ..training.settings import free_folder, latest_folder, resolve
    from ..training.train import train as run

    runs, base = Path("runs"), None
    out = out or (latest_folder(data, runs) if resume else free_folder(data, runs))
    if resume and RunFolder(out).begun():
        base = RunFolder(out).saved_config()
    flags = {"init": init, "epochs": epochs, "batch": batch, "lr": lr, "size": size, "queries": queries, "seed": seed,
             "precision": precision}  # fmt: skip
    config = resolve(recipe, flags, settings(set_), base)
    with following(Console()) as progress:
        result = run(
            data, out, config, resume=resume, device=device, workers=workers, micro_batch=micro_batch,
            trackers=tuple(track or ()), progress=progress,
        )  # fmt: skip
    if result.first:
        scored = f"best AP {result.best_ap:.3f} in epoch {result.best_epoch + 1}: {out / 'best'}, " * (
            result.best_epoch >= 0
        )
        print(f"{scored}last weights: {out / 'last'}")


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
    from .bar import bar

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
