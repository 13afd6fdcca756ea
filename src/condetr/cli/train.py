"""`condetr train`: train a detector on your images."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Data, Device, Set, settings


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
