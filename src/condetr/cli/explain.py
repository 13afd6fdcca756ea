"""`condetr explain`: what the detector looks at in images."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..files import check_writable
from .options import DEFAULT_WEIGHTS, Device


def explain(
    sources: Annotated[list[str], typer.Argument(help="images, folders, globs, http(s) addresses, or -")],
    weights: Annotated[str, typer.Option(help="a folder of weights, or a hub id")] = DEFAULT_WEIGHTS,
    detection: Annotated[int | None, typer.Option(help="only this detection of each image, 0 being the best")] = None,
    at: Annotated[str | None, typer.Option(help="X,Y in pixels: what is about this point, found or not")] = None,
    layer: Annotated[int, typer.Option(help="the decoder layer, counted from 0; -1 is the last")] = -1,
    threshold: Annotated[str, typer.Option(help="the score that counts, or best: what the weights recommend")] = "0.5",
    out: Annotated[Path, typer.Option(help="the folder for explain.html and the figures")] = Path("explained"),
    device: Device = None,
) -> None:
    """See what the detector looks at: every head's attention for each detection, and why nothing was found."""
    from ..explaining.explain import Asked, check, explain_images, point_of
    from ..predicting.predictor import Predictor, threshold_of
    from ..predicting.sources import Found, find
    from ..reports.terminal import printable

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped from outside: say what is kept, too
    asked = Asked(detection, None if at is None else point_of(at), layer, threshold_of(threshold))
    found = list(find(sources, sys.stdin.buffer, apart=out))
    images = [one for one in found if isinstance(one, Found)]
    missed = [one for one in found if not isinstance(one, Found)]
    for one in missed:
        print(f"condetr: {printable(one.name)}: {printable(one.reason)}", file=sys.stderr)
    if not images:
        raise typer.Exit(1)
    check(images, asked)
    check_writable(out)
    written = explain_images(Predictor.load(weights, device), images, asked, out)
    for remark in written.remarks:
        print(f"condetr: {printable(remark)}", file=sys.stderr)
    for name, reason in written.refused:
        print(f"condetr: {printable(name)}: {printable(reason)}", file=sys.stderr)
    figures = f"{len(written.figures)} figure{'s' * (len(written.figures) != 1)}"
    if written.interrupted:
        print(f"condetr: interrupted; kept: {figures} in {printable(str(out))}, without a page", file=sys.stderr)
        raise typer.Exit(130)
    if written.page is not None:
        print(f"{figures}; open {printable(str(written.page))}")
    raise typer.Exit(int(bool(written.refused) or any(one.refused for one in missed)))
