"""The options that several commands have, each declared once, and the checks that belong to them."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import DataError, WeightsError
from ..suggestions import did_you_mean, missing_folder, nearest_path
from .values import one_of

DEFAULT_WEIGHTS = "microsoft/conditional-detr-resnet-50"
DEFAULT_PRECISION = "fp32"
DEFAULT_BATCH = 4


def existing_data(path: Path | None) -> Path | None:
    """The path as it is. Raises DataError where it does not exist and a similar one does."""
    if path is not None and (near := nearest_path(path)) is not None:
        raise DataError(f"{path}: no such file or folder{did_you_mean(near)}")
    return path


def existing_weights(source: str | None) -> str | None:
    """The word as it is, which may be a hub id. Raises WeightsError where it is a local path that does not exist."""
    if source and (missing := missing_folder(source)) is not None:
        raise WeightsError(f"--weights {source}: {missing}")
    return source


def existing_init(source: str | None) -> str | None:
    """As `existing_weights`, for `--init`."""
    word = (source or "").partition("@")[0]
    if source and word not in ("imagenet", "none") and (missing := missing_folder(source)) is not None:
        raise WeightsError(f"--init {source}: {missing}")
    return source


def existing_weights_argument(source: str) -> str:
    """As `existing_weights`, for weights that are given without a flag."""
    try:
        existing_weights(source)
    except WeightsError as error:
        raise WeightsError(str(error).removeprefix("--weights ")) from None
    return source


def existing_runtime(name: str | None) -> str | None:
    """The name as it is. Raises CondetrError where there is no such runtime."""
    return None if name is None else one_of("--runtime", name, "torch", "onnx", "openvino")


def existing_precision(name: str) -> str:
    """The name as it is. Raises CondetrError where inference has no such precision."""
    return one_of("--precision", name, "fp32", "bf16")


Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="a folder (COCO, Roboflow, YOLO, Pascal VOC), or a .json or .yaml file",
        callback=existing_data,
    ),
]  # fmt: skip
_WEIGHTS = typer.Option(
    metavar="W", help="a folder of trained weights, a hub id, or an exported file", callback=existing_weights
)
Weights = Annotated[str, _WEIGHTS]
FolderOfWeights = Annotated[
    str,
    typer.Option("--weights", metavar="W", help="a folder of trained weights, or a hub id", callback=existing_weights),
]
WeightsOrNone = Annotated[str | None, _WEIGHTS]
WeightsArgument = Annotated[
    str,
    typer.Argument(
        metavar="WEIGHTS", help="a folder of trained weights, or a hub id", callback=existing_weights_argument
    ),
]
FollowOutside = Annotated[
    bool, typer.Option("--follow-outside", help="also open images that the labels name outside the data set's folder")
]
Threshold = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="confidence threshold from 0 to 1, or best: the threshold of each class that is saved with the weights; "
        "default: best if the weights have thresholds, else 0.5",
    ),
]
Device = Annotated[
    str | None, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1 or mps; default: a GPU if there is one")
]
Runtime = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="what executes the detector: torch, onnx or openvino; default: torch, or by the suffix of a file",
        callback=existing_runtime,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="fp32, or bf16: faster if the processor supports it, less exact",
        callback=existing_precision,
    ),
]
Tile = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="also detect in overlapping tiles of N pixels, for large images with small objects; about as large as the "
        "images that the weights were trained on",
    ),
]
Overlap = Annotated[
    float | None,
    typer.Option(
        metavar="X", help="with --tile: neighbouring tiles share at least this fraction of a tile; default: 0.2"
    ),
]
MaxDetections = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="keep only the N detections of an image with the highest scores; default: 100, with --tile no limit",
    ),
]
Classes = Annotated[str | None, typer.Option(metavar="A,B", help="only objects of these classes, e.g. cat,dog")]
OneClassPerBox = Annotated[
    bool, typer.Option("--one-class-per-box", help="keep only the class with the highest score of each box")
]
Nms = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="non-maximum suppression: of two detections of a class with an IoU above X, keep the one with the higher "
        "score; none: keep both; default: what the weights have",
    ),
]
Batch = Annotated[int, typer.Option(metavar="N", min=1, help="images, or tiles, that are processed together")]
Start = Annotated[str | None, typer.Option(metavar="T", help="begin a video at T, in seconds or as hh:mm:ss")]
Json = Annotated[bool, typer.Option("--json", help="print everything as JSON instead of tables")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="print errors only")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="a setting by its dotted path, e.g. train.lr=2e-4; all: `condetr recipes NAME`; repeatable",
    ),
]
