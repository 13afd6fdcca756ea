"""`condetr serve`: a detector as a web service."""

import os
import re
import signal
from pathlib import Path
from typing import Annotated

import typer

from ..errors import CondetrError
from ..plural import counted
from .options import (
    DEFAULT_PRECISION,
    DEFAULT_WEIGHTS,
    Device,
    Nms,
    Overlap,
    Precision,
    Quiet,
    Runtime,
    Tile,
    existing_weights,
)
from .stopping import leave_at_once
from .streams import announce, message, results
from .values import suppression, tiling, words

TOKEN = "CONDETR_TOKEN"
MOST_WAIT = 10_000  # ms


def serve(
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="W",
            help="a folder of trained weights, a hub id, or an exported file; NAME=W names the model; repeatable",
        ),
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="the address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="the port; 0: any free port")] = 8000,
    runtime: Runtime = None,
    device: Device = None,
    precision: Precision = DEFAULT_PRECISION,
    tile: Tile = None,
    overlap: Overlap = None,
    nms: Nms = None,
    parallel: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="images that torch predicts at the same time on a CPU, each with its share of the threads: more "
            "images per second, but a single one takes longer",
        ),
    ] = 1,
    max_batch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=256,
            help="images that are processed together; default: 8 on a GPU, else 1",
        ),
    ] = None,
    max_wait: Annotated[
        float, typer.Option(metavar="MS", min=0, max=MOST_WAIT, help="how long an image waits for others in its batch")
    ] = 5.0,
    max_queue: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=100_000, help="the most images that wait; further requests get status 429"
        ),
    ] = 64,
    max_images: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="the most images in a request")] = 16,
    max_megabytes: Annotated[int, typer.Option(metavar="N", min=1, max=2000, help="the largest request")] = 32,
    max_megapixels: Annotated[float, typer.Option(metavar="N", min=0.01, max=178, help="the largest image")] = 25.0,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="S", min=1, max=3600, help="seconds for a client to send a request, and then for its prediction"
        ),
    ] = 30.0,
    allow_urls_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            help="requests may name images by URL at this host (name or name:port); repeatable",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="without --host and token: a public name under which the server may be reached, for example that of a "
            "proxy; repeatable",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help=f"a file with the token that requests need; the variable {TOKEN} can hold it, too"
        ),
    ] = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="the page for people at the URL /")] = True,
    quiet: Quiet = False,
) -> None:
    """Detect objects over HTTP, for other programs and on a page in the browser."""
    from ..extras import imported

    for library in ("starlette", "uvicorn", "python_multipart", "httpx2"):
        imported(library, "serve")

    announce("starting", "the server")
    from ..runtime.file_facts import package_version
    from ..serving.limits import MEBIBYTE, Limits
    from ..serving.models import load_model, named, share_threads
    from ..serving.remote import parse_host
    from ..serving.serve import LOCAL, bound, server

    tiles, iou = tiling(tile, overlap), suppression(nms)
    sources = named(weights or [DEFAULT_WEIGHTS])
    for source in sources.values():
        existing_weights(source)
    token = _token(token_file)
    hosts = tuple(host for word in allow_urls_from or () for host in words("--allow-urls-from", word))
    for one in hosts:
        parse_host(one)
    names = _names(host, token, allow_host or [])
    limits = Limits(
        max_megabytes * MEBIBYTE, round(max_megapixels * 1e6), min(max_images, max_queue), max_queue, timeout, hosts
    )
    with bound(host, port) as socket:
        models = [
            load_model(name, source, device, runtime, precision, tiles, iou)  # type: ignore[arg-type]
            for name, source in sources.items()
        ]
        share_threads(parallel, models)
        for model in models:
            model.warm_up()
        on_gpu = any(model.predictor.device.type != "cpu" for model in models)
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{socket.getsockname()[1]}"
        if host not in LOCAL and token is None:
            message(
                f"--host {host}: other machines can use this server without a token. Set one with --token-file FILE"
            )

        def started() -> None:
            results(quiet).print(f"serving {', '.join(sources)} on {address} (Ctrl-C stops it)", markup=False)

        def finishing(requests: int) -> None:
            message(f"finishing {counted(requests, 'request')}; Ctrl-C again stops at once")

        def forced() -> None:
            leave_at_once(signal.SIGINT, "stopped before all accepted requests were finished")

        running = server(
            models, limits, version=package_version(), max_batch=max_batch or (8 if on_gpu else 1),
            max_wait=max_wait / 1000, parallel=parallel, token=token, page=page, hosts=names,
            started=started, finishing=finishing, forced=forced,
        )  # fmt: skip
        try:
            running.run(sockets=[socket])
        except KeyboardInterrupt:  # the signal, again, after what was accepted is finished
            results(quiet).print("stopped")


def _names(host: str, token: str | None, allowed: list[str]) -> frozenset[str] | None:
    """The public names under which the server may be reached; None: any. Raises CondetrError."""
    from ..serving.serve import LOCAL

    if host not in LOCAL or token is not None:
        if allowed:
            why = "with a token" if token is not None else f"with --host {host}"
            raise CondetrError(f"--allow-host {allowed[0]}: not needed {why}, any name is allowed. Leave it out")
        return None
    for name in allowed:
        if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", name):
            raise CondetrError(f"--allow-host {name}: not the name of a host. Give one such as detect.example.org")
    return frozenset(map(str.lower, allowed))


def _token(file: Path | None) -> str | None:
    """Raises CondetrError for a file that cannot be read or holds no token."""
    if file is None:
        token = os.environ.get(TOKEN)
        named = TOKEN
    else:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise CondetrError(f"--token-file {file}: {reason}") from None
        named = f"--token-file {file}"
    if token is not None and not (token.isascii() and token.isprintable() and token and " " not in token):
        raise CondetrError(f"{named}: a token is one word of ASCII characters. Make one: openssl rand -hex 32")
    return token
