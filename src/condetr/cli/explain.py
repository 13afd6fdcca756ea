"""`condetr explain`: the detector's attention maps on images."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import CondetrError
from ..files import check_writable
from ..plural import counted
from ..reports.terminal import printable
from .options import DEFAULT_WEIGHTS, Device, FolderOfWeights, Nms, Quiet, Threshold
from .progress import progress_bar
from .stopping import status_of
from .streams import announce, message, messages, standard_input
from .values import confidence, suppression


def explain(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="IMAGES", help="images, folders, globs, http(s) URLs, or - for standard input"),
    ],
    weights: FolderOfWeights = DEFAULT_WEIGHTS,
    detection: Annotated[
        int | None, typer.Option(metavar="N", help="only this detection of each image; 0 has the highest score")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="X,Y", help="a point in pixels: explain what is there, detected or not")
    ] = None,
    layer: Annotated[int, typer.Option(metavar="N", help="the decoder layer, counted from 0; -1 is the last")] = -1,
    threshold: Threshold = None,
    nms: Nms = None,
    figures: Annotated[
        bool,
        typer.Option("--figures", help="also write a PNG figure of each explained detection (about a second each)"),
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="write explain.html and the figures to it")] = Path(
        "explained"
    ),
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Show the attention maps of every head for each detection, and why nothing was detected."""
    from ..predicting.sources import Found, find

    point = None if at is None else parse_point(at)
    found = list(find(sources, standard_input(), exclude=out))
    images = [one for one in found if isinstance(one, Found)]
    missed = [one for one in found if not isinstance(one, Found)]
    for one in missed:
        if one.failed or not quiet:
            message(f"{one.name}: {one.reason}")
    if not images:
        raise typer.Exit(1)
    check_writable(out)
    announce("loading", weights)
    from ..explaining.explain_images import Selection, check, explain_images
    from ..predicting.exported import refuse_exported
    from ..predicting.predictor import Predictor

    refuse_exported(weights)
    selection = Selection(detection, point, layer, confidence(threshold))
    check(selection)
    predictor = Predictor.load(weights, device, nms=suppression(nms))
    with progress_bar("images", messages(), hidden=quiet) as progress:
        written = explain_images(predictor, images, selection, out, progress, figures)
    for note in written.notes if not quiet else ():
        message(note)
    for name, reason in written.failed:
        message(f"{name}: {reason}")
    drawn = counted(len(written.figures), "figure")
    kept = [printable(str(page)) for page in written.pages] + [f"{drawn} in {printable(str(out))}"] * figures
    if written.interrupted is not None:
        message(f"interrupted; kept: {', '.join(kept) or 'nothing'}")
        raise typer.Exit(status_of(written.interrupted))
    if written.pages and not quiet:
        others = len(written.pages) - 1
        more = f" and {counted(others, 'more page')}, linked from it" if others else ""
        print(f"{drawn + '; ' if figures else ''}open {printable(str(written.pages[0]))}{more}")
    raise typer.Exit(int(bool(written.failed) or any(one.failed for one in missed)))


def parse_point(text: str) -> tuple[float, float]:
    """The point of the option `--at X,Y`. Raises CondetrError that names the flag."""
    try:
        x, y = (float(number) for number in text.split(","))
    except ValueError:
        raise CondetrError(f"--at {text}: write it as X,Y in pixels of the image, for example --at 120,80") from None
    return x, y
