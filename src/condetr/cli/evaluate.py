"""`condetr evaluate`: the accuracy of a detector on labelled images."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import CondetrError
from ..files import check_writable
from .options import Device


def evaluate(
    weights: Annotated[str | None, typer.Argument(help="a weights folder or hub id; none with --detections")] = None,
    data: Annotated[Path | None, typer.Argument(help="a data set: COCO, Roboflow, YOLO or Pascal VOC")] = None,
    split: Annotated[str | None, typer.Option(help="train, valid or test; else test, or valid without one")] = None,
    out: Annotated[Path, typer.Option(help="a folder for report.html, metrics.json and detections.json")] = Path(
        "evaluation"
    ),
    device: Device = None,
    batch: Annotated[int, typer.Option(min=1, help="images at a time")] = 8,
    json_: Annotated[bool, typer.Option("--json", help="print all numbers as JSON")] = False,
    detections: Annotated[Path | None, typer.Option(help="evaluate a COCO results file in place of weights")] = None,
    save_thresholds: Annotated[
        bool, typer.Option("--save-thresholds", help="keep each class's best threshold with the weights")
    ] = False,
) -> None:
    """How good is a detector? COCO's numbers, curves, mistakes, and a page to pass on."""
    if detections is not None and weights is not None and data is None:
        data, weights = Path(weights), None
    if data is None or (weights is None) == (detections is None):
        raise CondetrError("evaluate: give WEIGHTS DATA, or DATA with --detections FILE.json")
    if save_thresholds and weights is None:
        raise CondetrError("--save-thresholds: there are no weights to save them with; give WEIGHTS DATA")

    from rich.console import Console

    from ..engine.device import available, own
    from ..engine.distributed import joined
    from ..evaluating import evaluate as verb
    from ..evaluating.terminal import tables
    from .progress import bar

    device = available(device)
    with joined(device.startswith("cuda")) as processes:
        if processes.first:
            check_writable(out)
        with bar("evaluating", Console(stderr=True), hidden=not processes.first) as count:
            if detections is not None:
                evaluation = verb.evaluate_detections(detections, data, split=split)
            else:
                assert weights is not None
                evaluation = verb.evaluate(
                    weights, data, split=split, device=str(own(device, processes)), batch=batch, progress=count,
                    processes=processes,
                )  # fmt: skip
        if not processes.first:
            return
        page = evaluation.write(out)  # before anything is printed: a console that cannot show a name loses no report
        if save_thresholds:
            assert weights is not None
            verb.save_best_thresholds(weights, evaluation)
        if json_:
            print(json.dumps(evaluation.to_dict()))
        else:
            Console().print(tables(evaluation))
        print(f"page: {page}", file=sys.stderr if json_ else sys.stdout)
        if save_thresholds:
            print(f"thresholds saved with {weights}", file=sys.stderr if json_ else sys.stdout)
