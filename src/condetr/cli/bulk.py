"""`condetr bulk`: predict any number of images into Parquet files, on several processes or machines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from ..files import quoted
from ..plural import counted
from ..reports.terminal import printable, redraws
from .options import (
    DEFAULT_BATCH,
    DEFAULT_PRECISION,
    DEFAULT_WEIGHTS,
    Batch,
    Classes,
    Device,
    MaxDetections,
    Nms,
    OneClassPerBox,
    Overlap,
    Precision,
    Quiet,
    Runtime,
    Threshold,
    Tile,
    Weights,
)
from .stopping import status_of
from .streams import message, messages, results
from .values import confidence, suppression, tiling, words

EVERY = 30.0  # seconds between two lines of progress where there is no terminal


def bulk(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="folders, globs, images, Parquet manifests (a column path or image), http(s) URLs, or URLs "
            "of object stores such as s3://bucket/photos/",
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="a new folder for the Parquet files, or the folder of a run to resume")
    ],
    weights: Weights = DEFAULT_WEIGHTS,
    threshold: Threshold = None,
    classes: Classes = None,
    max_detections: MaxDetections = None,
    tile: Tile = None,
    overlap: Overlap = None,
    one_class_per_box: OneClassPerBox = False,
    nms: Nms = None,
    batch: Batch = DEFAULT_BATCH,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="processes; default: one for each processor core, or for each GPU"),
    ] = None,
    device: Device = None,
    precision: Precision = DEFAULT_PRECISION,
    runtime: Runtime = None,
    address: Annotated[
        str | None,
        typer.Option(
            "--address", metavar="ADDRESS", help="a Ray cluster: auto, host:6379; default: processes of this machine"
        ),
    ] = None,
    explain_plan: Annotated[bool, typer.Option("--explain-plan", help="print what would run where, and stop")] = False,
    quiet: Quiet = False,
) -> None:
    """Find objects in any number of images and write Parquet files; a killed run can be resumed."""
    wanted = confidence(threshold)
    names = None if classes is None else words("--classes", classes)
    tiles, iou = tiling(tile, overlap), suppression(nms)

    from ..bulk_predicting import bulk as verb

    options = {
        "threshold": wanted, "classes": names, "max_detections": max_detections,
        "one_class_per_box": one_class_per_box, "tiling": tiles, "nms": iou, "batch": batch, "workers": workers,
        "device": device, "precision": precision, "runtime": runtime, "address": address,
    }  # fmt: skip
    if explain_plan:
        from ..bulk_predicting.explain_plan import explain_plan as explained

        request = verb.requested(sources, weights, out, **options)  # type: ignore[arg-type]
        for what, value in explained(request):
            print(f"{what:<8} {value}")
        return
    done, total = 0, 0
    try:
        with _progress(quiet) as show:

            def count(now: int, of: int) -> None:
                nonlocal done, total
                done, total = now, of
                show(now, of)

            run = verb.bulk(sources, weights, out, progress=count, **options)  # type: ignore[arg-type]
    except KeyboardInterrupt as interrupt:
        known = f"{done:,} of {counted(total, 'image')} are done" if total else "no image is done"
        message(f"interrupted: {known}. The same command continues from there")
        raise typer.Exit(status_of(interrupt)) from None
    if quiet:
        return
    for note in run.notes:
        message(note)
    results().print(f"{counted(run.images, 'image')}: see {printable(quoted(run.folder))}", markup=False)
    if run.failed:
        some = f"{run.failed:,} of them" if run.images > 1 else "it"
        results().print(f"{some} could not be predicted: the column error has the reasons", markup=False)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar with images/s and the time left on a terminal; elsewhere a line now and then."""
    from rich.progress import BarColumn, Progress, TextColumn

    from ..bulk_predicting.pace import Pace

    pace, console, last = Pace(), messages(), monotonic()
    if quiet or not redraws(console):

        def tell(done: int, total: int) -> None:
            nonlocal last
            pace.add(done)
            if not quiet and (monotonic() - last > EVERY or len(pace.points) == 1):
                last = monotonic()
                message(pace.line(total))

        yield tell
        return
    with Progress(BarColumn(), TextColumn("{task.description}"), console=console, transient=True) as progress:
        task = progress.add_task("listing images, starting workers", total=None)

        def show(done: int, total: int) -> None:
            pace.add(done)
            progress.update(task, completed=done, total=total, description=pace.line(total))

        yield show
