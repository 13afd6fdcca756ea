"""`condetr predict`: find objects in images and videos."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import CondetrError
from ..files import check_writable
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
    Start,
    Threshold,
    Tile,
    Weights,
)
from .predict_run import Kept, Part, Run
from .stopping import status_of
from .streams import StandardOutput, announce, message, standard_input
from .values import confidence, one_of, span, suppression, tiling, words

if TYPE_CHECKING:
    from ..predicting.outputs import Outputs
    from ..predicting.sources import Found, Skipped
    from ..types import Categories
    from ..videos.sources import VideoSource

    Source = Skipped | tuple[Found, VideoSource | None]

STDOUT = Path("-")
FORMATS = "images,jsonl"


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES",
            help="images, folders, globs, videos, http(s) and rtsp URLs, camera:0, or - for standard input",
        ),
    ],
    weights: Weights = DEFAULT_WEIGHTS,
    threshold: Threshold = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="the folder to write; - prints JSON lines instead")] = Path(
        "predictions"
    ),
    format: Annotated[
        str | None,
        typer.Option(metavar="A,B", help=f"what to write: images, coco, jsonl, csv; default: {FORMATS}"),
    ] = None,
    classes: Classes = None,
    max_detections: MaxDetections = None,
    one_class_per_box: OneClassPerBox = False,
    nms: Nms = None,
    every: Annotated[int, typer.Option(metavar="N", min=1, help="predict every Nth frame of a video")] = 1,
    start: Start = None,
    end: Annotated[str | None, typer.Option(metavar="T", help="stop a video, camera or stream at T")] = None,
    retry: Annotated[
        int, typer.Option(metavar="N", min=0, help="open a lost camera or stream again, up to N times in a row")
    ] = 5,
    show: Annotated[bool, typer.Option("--show", help="also show the frames of videos in a window")] = False,
    codec: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="codec of drawn videos: vp9, or mp4v, which is faster but not played by browsers"
        ),
    ] = "vp9",
    tile: Tile = None,
    overlap: Overlap = None,
    batch: Batch = DEFAULT_BATCH,
    device: Device = None,
    precision: Precision = DEFAULT_PRECISION,
    runtime: Runtime = None,
    compile: Annotated[bool, typer.Option("--compile", help="compile the detector first, which takes minutes")] = False,
    quiet: Quiet = False,
) -> None:
    """Find objects in images and videos, draw them, and write them to files."""
    from ..predicting.sources import Skipped, find
    from ..videos.opencv import opencv
    from ..videos.writing import CODECS

    one_of("--codec", codec, *CODECS)
    if out == STDOUT and format not in (None, "jsonl"):
        raise CondetrError(f"--format {format}: --out - prints only jsonl. Name a folder with --out, or leave it out")
    if out == STDOUT and sys.stdout is None:
        raise CondetrError("--out -: there is no standard output. Name a folder with --out")
    names = None if classes is None else words("--classes", classes)
    part = Part(every, *span(start, end), retry)
    run = Run(quiet, Kept(names, max_detections, one_class_per_box), part, batch)

    every_source = find(sources, standard_input(), exclude=out)
    found: Iterable[Source] = (one if isinstance(one, Skipped) else (one, one.video()) for one in every_source)
    total = None
    if "-" not in sources:
        found = list(found)
        videos = [one[1] for one in found if not isinstance(one, Skipped)]
        total = videos.count(None)
        if not videos:
            list(_readable(found, run))
            raise typer.Exit(1)
        run.table = len(videos) == total == 1 and out != STDOUT
        if total < len(videos):
            opencv()  # before the weights are loaded: it may not be installed
        elif given := [flag for flag, value in _only_videos(every, start, end, show).items() if value]:
            raise CondetrError(f"{given[0]}: only for videos, and there is none among the sources")
    if out != STDOUT:
        check_writable(out)
    announce("loading", weights)
    from ..predicting.outputs import parse_formats
    from ..predicting.predictor import Predictor
    from ..predicting.window import Window

    formats = parse_formats(format or FORMATS)
    wanted, tiles, iou = confidence(threshold), tiling(tile, overlap), suppression(nms)
    run.window = Window() if show else None
    predictor = Predictor.load(
        weights, device, precision, compile=compile, runtime=runtime, tiling=tiles, nms=iou,  # type: ignore[arg-type]
    )  # fmt: skip
    run.min_score = predictor.min_score(wanted)
    run.most = predictor.selection(wanted, names, max_detections, one_class_per_box).most
    status = 0
    try:
        with _outputs(out, formats, predictor.categories, codec) as run.outputs:
            for is_image, group in groupby(_readable(found, run), key=lambda one: one[1] is None):
                if is_image:
                    run.predict_images(predictor, (one for one, _ in group), total)
                else:
                    run.predict_videos(predictor, group)
    except KeyboardInterrupt as interrupt:
        status = status_of(interrupt)
    if not quiet and out != STDOUT:
        for line in run.summary(out, interrupted=bool(status)):
            print(line)
    elif status:
        message("interrupted")
    raise typer.Exit(status or int(run.failures > 0))


def _readable(found: "Iterable[Source]", run: Run) -> "Iterator[tuple[Found, VideoSource | None]]":
    """The sources that lead to something; the others are reported where they stand."""
    from ..predicting.sources import Skipped

    for one in found:
        if isinstance(one, Skipped):
            run.report(one.name, one.reason, one.failed)
        else:
            yield one


def _only_videos(every: int, start: str | None, end: str | None, show: bool) -> dict[str, bool]:
    return {"--every": every != 1, "--start": start is not None, "--end": end is not None, "--show": show}


def _outputs(
    out: Path, formats: tuple[str, ...], categories: "Categories", codec: str
) -> "AbstractContextManager[Outputs]":
    """The files of a folder, or standard output for `-`: one line of JSON for each image or frame, written at once."""
    from ..predicting.outputs import Outputs
    from ..predicting.writers import JsonLines

    if out == STDOUT:
        return nullcontext(Outputs(out, [JsonLines(StandardOutput())]))
    return Outputs.open(out, formats, categories, codec)
