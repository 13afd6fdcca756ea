"""`condetr train`: train a detector on your images."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..engine.interrupt import HANGUP
from ..reports.terminal import printable
from .flags import as_typed
from .options import Data, Device, FollowOutside, Quiet, Set, existing_init
from .stopping import leave_at_once
from .streams import abandon_terminal, announce, results
from .values import naming_flags, settings


def train(
    data: Data,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME", help="see `condetr recipes`; small and nano suit small data")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="the run's folder; default: runs/ and the name of the data set")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            metavar="W",
            help="the initial weights: imagenet, none, a backbone's file, a folder of weights, or a hub id",
            callback=existing_init,
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="train.epochs")] = None,
    batch: Annotated[
        int | None, typer.Option(metavar="N", help="train.batch: images in a step, over all processes")
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option("--lr", metavar="LR", help="train.lr: learning rate; the backbone's is a multiple of it"),
    ] = None,
    size: Annotated[int | None, typer.Option(metavar="N", help="data.size: the short side, in pixels")] = None,
    queries: Annotated[
        int | None, typer.Option(metavar="N", help="model.queries: the maximum number of objects in an image")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="train.seed")] = None,
    precision: Annotated[str | None, typer.Option(metavar="NAME", help="train.precision: fp32, bf16 or fp16")] = None,
    set_: Set = None,
    resume: Annotated[bool, typer.Option("--resume", help="resume the run, or start it if there is none")] = False,
    device: Device = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="threads that read images ahead", min=0)] = None,
    micro_batch: Annotated[
        int | None, typer.Option(metavar="N", help="images processed at a time, if memory is short", min=1)
    ] = None,
    track: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="tensorboard, wandb, mlflow or trackio; repeatable")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="print how much time each part of a training step takes")
    ] = False,
    follow_outside: FollowOutside = False,
    quiet: Quiet = False,
) -> None:
    """Train on your images. Under torchrun all processes train together."""
    announce("reading", data)
    from ..training.live import live_progress
    from ..training.progress import Event, Stopping
    from ..training.settings import ARGUMENTS
    from ..training.train import train as verb

    settings_ = settings(set_)
    arguments: dict[str, Any] = {
        "init": init, "epochs": epochs, "batch": batch, "lr": lr, "size": size, "queries": queries, "seed": seed,
        "precision": precision,
    }  # fmt: skip
    flags = {ARGUMENTS[name]: f"--{name}" for name, value in arguments.items() if value is not None}
    flags |= {"recipe": "--recipe"} | dict.fromkeys(settings_, "--set")
    with naming_flags(flags), live_progress(results(quiet), as_typed) as show:

        def progress(event: Event) -> None:
            if isinstance(event, Stopping):
                if event.now:
                    leave_at_once(event.number, str(event))
                if event.number == HANGUP:
                    abandon_terminal()
            show(event)

        run = verb(
            data, recipe, out=out, **arguments, settings=settings_, resume=resume, device=device, workers=workers,
            micro_batch=micro_batch, trackers=tuple(track or ()), progress=progress, follow_outside=follow_outside,
            profile=profile,
        )  # fmt: skip
    if run.main_process and not quiet:
        best, last = (printable(str(run.folder / name)) for name in ("best", "last"))
        scored = f"best AP {run.best_ap:.3f} in epoch {run.best_epoch}: {best}, " if run.best_ap is not None else ""
        print(f"{scored}last weights: {last}")
