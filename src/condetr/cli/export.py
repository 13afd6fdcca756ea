"""`condetr export`: weights as one file for onnxruntime or OpenVINO, whose detections are compared with theirs."""

from pathlib import Path
from typing import Annotated

import typer

from .options import FollowOutside, Quiet, WeightsArgument, existing_data
from .progress import progress_bar
from .streams import announce, messages, results
from .values import one_of


def export(
    weights: WeightsArgument,
    format: Annotated[str, typer.Option(metavar="NAME", help="onnx or openvino")] = "onnx",
    precision: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="fp32; fp16: half the file size; int8: faster, needs --format openvino and --data"
        ),
    ] = "fp32",
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="also compare AP, on the valid split of this data set",
            callback=existing_data,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="the file to write; default: the name of the weights")
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(metavar="X", help="the largest drop of AP that is accepted; default: 0.001; int8: 0.005"),
    ] = None,
    calibration: Annotated[
        int, typer.Option(metavar="N", help="int8 is calibrated on at most N images of train")
    ] = 300,
    follow_outside: FollowOutside = False,
    quiet: Quiet = False,
) -> None:
    """Write a detector as one file for onnxruntime or OpenVINO, and check that its detections are the same."""
    one_of("--format", format, "onnx", "openvino")
    one_of("--precision", precision, "fp32", "fp16", "int8")

    announce("loading", weights)
    from ..exporting.export import export as verb
    from ..exporting.terminal import summary

    with progress_bar("comparing AP", messages(), hidden=quiet or data is None) as progress:
        exported = verb(
            weights, format=format, precision=precision, data=data, out=out, max_drop=max_drop,
            calibration=calibration, follow_outside=follow_outside, progress=progress,
        )  # fmt: skip
    results(quiet).print(summary(exported))
