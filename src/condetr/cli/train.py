"""`condetr train`: train a detector on your images."""

from pathlib import Path
from typing import Annotated

import typer

from ..reports.terminal import printable
from .options import Data, Device, FollowOutside, Quiet, Set, settings
from .streams import results


def train(
    data: Data,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME", help="see `condetr recipes`; small and nano suit small data")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="the folder of the run; default: runs/NAME of the data")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            "--weights",
            metavar="W",
            help="what training starts from: imagenet, none, a backbone's file, a folder of weights, or a hub id",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="train.epochs")] = None,
    batch: Annotated[
        int | None, typer.Option(metavar="N", help="train.batch: images in a step, over all processes")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(metavar="LR", help="train.lr: learning rate; the backbone's is a multiple of it")
    ] = None,
    size: Annotated[int | None, typer.Option(metavar="N", help="data.size: the short side, in pixels")] = None,
    queries: Annotated[
        int | None, typer.Option(metavar="N", help="model.queries: the most objects found in an image")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="train.seed")] = None,
    precision: Annotated[str | None, typer.Option(metavar="NAME", help="train.precision: fp32, bf16 or fp16")] = None,
    set_: Set = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the run, or start it if there is none")] = False,
    device: Device = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="threads that read images ahead", min=0)] = None,
    micro_batch: Annotated[
        int | None, typer.Option(metavar="N", help="images at a time, where memory is short", min=1)
    ] = None,
    track: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="tensorboard, wandb, mlflow or trackio; repeatable")
    ] = None,
    follow_outside: FollowOutside = False,
    quiet: Quiet = False,
) -> None:
    """Train on your images. Under torchrun all processes train together."""
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
    with following(results(quiet)) as progress:
        result = run(
            data, out, config, resume=resume, device=device, workers=workers, micro_batch=micro_batch,
            trackers=tuple(track or ()), progress=progress, follow_outside=follow_outside,
        )  # fmt: skip
    if result.first and not quiet:
        best, last = (printable(str(out / name)) for name in ("best", "last"))
        scored = f"best AP {result.best_ap:.3f} in epoch {result.best_epoch + 1}: {best}, "
        print(f"{scored if result.best_epoch >= 0 else ''}last weights: {last}")
