"""`condetr evaluate`: the accuracy of a detector on labelled images."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import CondetrError
from ..files import check_writable, quoted
from ..reports.terminal import printable
from .flags import as_typed
from .options import (
    Batch,
    Device,
    FollowOutside,
    Json,
    MaxDetections,
    Nms,
    Overlap,
    Quiet,
    Runtime,
    Tile,
    WeightsOrNone,
    existing_data,
)
from .progress import progress_bar
from .streams import announce, messages, remark, results
from .values import suppression, tiling


def one_data_set(ctx: Any, given: list[Path]) -> list[Path]:
    """The list as it is. Raises CondetrError where it holds more than a data set: weights go with --weights."""
    if len(given) > 1:
        if ctx.params.get("weights") or ctx.params.get("detections"):
            raise CondetrError(f"{given[1]}: evaluate takes only one data set, and {given[0]} is the first")
        data, weights = quoted(given[1]), quoted(given[0])
        raise CondetrError(f"evaluate takes only the data set: condetr evaluate {data} --weights {weights}")
    for path in given:
        existing_data(path)
    return given


def evaluate(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DATA", help="a data set: COCO, Roboflow, YOLO or Pascal VOC", callback=one_data_set),
    ],
    weights: WeightsOrNone = None,
    detections: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="evaluate a COCO results file, or the folder of a bulk run, instead of weights"
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="train, valid or test; default: test, or valid if there is no test split"),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="write report.html, metrics.json and detections.json to it")
    ] = Path("evaluation"),
    json_: Json = False,
    save_thresholds: Annotated[
        bool, typer.Option("--save-thresholds", help="save the best threshold of each class with the weights")
    ] = False,
    replace_thresholds: Annotated[
        bool,
        typer.Option(
            "--replace-thresholds", help="with --save-thresholds: also replace thresholds that were chosen on valid"
        ),
    ] = False,
    device: Device = None,
    runtime: Runtime = None,
    max_detections: MaxDetections = None,
    tile: Tile = None,
    overlap: Overlap = None,
    nms: Nms = None,
    batch: Batch = 8,
    follow_outside: FollowOutside = False,
    quiet: Quiet = False,
) -> None:
    """Measure a detector: COCO's numbers, curves and error types, and a page to share."""
    root = data[0]
    if weights is None and detections is None:
        raise CondetrError("evaluate: what to evaluate is missing; give --weights W or --detections FILE")
    if weights is not None and detections is not None:
        raise CondetrError("evaluate: give --weights or --detections, not both")
    if save_thresholds and weights is None:
        raise CondetrError("--save-thresholds: there are no weights to save them with; give --weights W")
    if replace_thresholds and not save_thresholds:
        raise CondetrError("--replace-thresholds: only with --save-thresholds. Add it")
    of_weights = {"--tile": tile, "--max-detections": max_detections, "--nms": nms}
    given = [flag for flag, value in of_weights.items() if value is not None]
    if detections is not None and given:
        raise CondetrError(f"{given[0]}: for weights; the detections of a file are evaluated as they are. Leave it out")

    announce("reading", root)
    tiles, iou = tiling(tile, overlap), suppression(nms)
    from ..checkpoint import load_config
    from ..engine.device import check_device, local_device
    from ..engine.distributed import process_group
    from ..evaluating import evaluate as verb
    from ..evaluating.remarks import chosen_with
    from ..evaluating.terminal import tables
    from ..predicting.exported import executes_file

    if save_thresholds and weights is not None:
        verb.folder_of_thresholds(weights)  # fails before the images are predicted
    device = check_device(device or "cpu" if executes_file(weights, runtime) else device)
    with process_group(device.startswith("cuda")) as processes:
        if processes.first:
            check_writable(out)
        with progress_bar("evaluating", messages(), hidden=quiet or not processes.first) as progress:
            if detections is not None:
                evaluation = verb.evaluate_detections(detections, root, split=split, follow_outside=follow_outside)
            else:
                assert weights is not None
                evaluation = verb.evaluate(
                    weights, root, split=split, device=str(local_device(device, processes)), batch=batch,
                    runtime=runtime, tiling=tiles, nms=iou, max_detections=max_detections, progress=progress,
                    processes=processes, follow_outside=follow_outside,
                )  # fmt: skip
        if not processes.first:
            return
        page = evaluation.write(out)
        if json_:
            print(json.dumps(evaluation.to_dict()))
        else:
            results(quiet).print(tables(evaluation, as_typed))
        if not quiet:
            remark(f"page: {printable(str(page))}", aside=json_)
        if save_thresholds:
            assert weights is not None
            verb.save_best_thresholds(weights, evaluation, replace_thresholds)
            if not quiet:
                remark(f"thresholds saved with {printable(str(weights))}", aside=json_)
                file = verb.folder_of_thresholds(weights) / "config.json"
                note = chosen_with(file, load_config(str(file.parent)).model.nms, iou, tiles)
                if note:
                    remark(printable(as_typed(note)), aside=json_)
