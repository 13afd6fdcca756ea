"""Options that several commands share, and how their words are read."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import CondetrError, ConfigError, DataError, WeightsError
from ..suggestions import did_you_mean, missing_folder, nearest, nearest_path

if TYPE_CHECKING:
    from ..predicting.tiling import Tiling

DEFAULT_WEIGHTS = "microsoft/conditional-detr-resnet-50"


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


Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="a folder (COCO, Roboflow, YOLO, Pascal VOC), or a .json or .yaml file",
        callback=existing_data,
    ),
]  # fmt: skip
Weights = Annotated[
    str,
    typer.Option(
        metavar="W", help="a folder of trained weights, a hub id, or an exported file", callback=existing_weights
    ),
]
FollowOutside = Annotated[
    bool, typer.Option("--follow-outside", help="also open images that the labels name outside the data set's folder")
]
Threshold = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="confidence threshold from 0 to 1, or best: each class's own, saved with the weights; default: best "
        "where the weights have them, else 0.5",
    ),
]
Device = Annotated[
    str | None, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1 or mps; default: a GPU if there is one")
]
Runtime = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="torch, onnx or openvino: what executes the detector; default: torch, or what the suffix of a file names",
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
    typer.Option(metavar="X", help="with --tile: the least share of a tile that its neighbour has, too; default: 0.2"),
]
MaxDetections = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="the most detections of an image, those with the highest scores; default: 100, with --tile no limit",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="print errors only")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="a setting by its dotted path, e.g. train.lr=2e-4; repeatable"),
]


def settings(assignments: list[str] | None) -> dict[str, Any]:
    """`path=value` words as a dict; a value is JSON where it parses as JSON, else the word itself."""
    parsed = {}
    for assignment in assignments or []:
        path, equals, value = assignment.partition("=")
        if not equals:
            raise CondetrError(f"--set {assignment}: write it as path=value, for example --set train.lr=2e-4")
        try:
            parsed[path.strip()] = json.loads(value)
        except json.JSONDecodeError:
            parsed[path.strip()] = value
    return parsed


def words(flag: str, text: str) -> list[str]:
    """The words of a list with commas. Raises CondetrError that names the flag where one is empty."""
    found = [word.strip() for word in text.split(",")]
    if not all(found):
        raise CondetrError(f"{flag} {text}: a name is missing between two commas")
    return found


def confidence(threshold: str | None) -> float | Literal["best"] | None:
    """What `--threshold` stands for. Raises CondetrError that names the flag."""
    from ..predicting.selection import parse_threshold

    try:
        return None if threshold is None else parse_threshold(threshold)
    except CondetrError as error:
        raise CondetrError(f"--{error}") from None


@contextmanager
def naming_flags(flags: Mapping[str, str]) -> Iterator[None]:
    """Errors about a setting name the flag that was typed; `flags` maps the setting's dotted path to it."""
    try:
        yield
    except ConfigError as error:
        raise error.named_as_typed(flags) from None


def tiling(tile: int | None, overlap: float | None) -> "Tiling | None":
    """What `--tile` and `--overlap` stand for. Raises CondetrError that names the flag."""
    if tile is None:
        if overlap is not None:
            raise CondetrError(f"--overlap {overlap:g}: only with tiles. Add --tile N")
        return None
    from ..predicting.tiling import Tiling

    try:
        return Tiling(tile) if overlap is None else Tiling(tile, overlap)
    except CondetrError as error:
        raise CondetrError(f"--{error}") from None


def whole_numbers(flag: str, text: str | None) -> list[int] | None:
    """The whole numbers of a list with commas. Raises CondetrError that names the flag."""
    try:
        return None if text is None else [int(word) for word in text.split(",")]
    except ValueError:
        raise CondetrError(f"{flag} {text}: give whole numbers with commas, for example 12,25,50") from None


def one_of(flag: str, word: str, *choices: str) -> str:
    """The word, if it is a choice. Raises CondetrError that names the flag and the choices."""
    if word not in choices:
        near = did_you_mean(nearest(word, choices))
        raise CondetrError(f"{flag} {word}: must be {' or '.join(choices)}{near}")
    return word
