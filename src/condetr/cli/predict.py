"""`condetr predict`: find objects in images."""

import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ImageError
from .options import DEFAULT_WEIGHTS, Device, one_of


def predict(
    sources: Annotated[
        list[str], typer.Argument(help="images, folders, globs, http(s) addresses, or - for standard input")
    ],
    weights: Annotated[str, typer.Option(help="a folder of weights, or a hub id")] = DEFAULT_WEIGHTS,
    threshold: Annotated[str, typer.Option(help="the score that counts, or best: what the weights recommend")] = "0.5",
    out: Annotated[Path, typer.Option(help="the folder for what is written")] = Path("predictions"),
    format: Annotated[str, typer.Option(help="of images, coco, jsonl, csv: any, with commas")] = "images,jsonl",
    batch: Annotated[int, typer.Option(help="images that go through the detector together", min=1)] = 4,
    device: Device = None,
    precision: Annotated[str, typer.Option(help="fp32, or bf16: faster where the processor has it, rougher")] = "fp32",
    compile: Annotated[bool, typer.Option("--compile", help="translate the detector first: takes minutes")] = False,
) -> None:
    """Find objects in images: draws them, and writes them down."""
    from rich.console import Console

    from ..predicting.outputs import Outputs, formats_of, nothing, table
    from ..predicting.predictor import Predictor, threshold_of
    from ..predicting.sources import Found, Missed, find
    from ..reports.terminal import printable
    from .progress import bar

    one_of("--precision", precision, "fp32", "bf16")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped from outside: keep what is written, too
    console, formats, wanted = Console(stderr=True), formats_of(format), threshold_of(threshold)
    found: Iterable[Found | Missed] = find(sources, sys.stdin.buffer, apart=out)
    if "-" not in sources:
        found = list(found)
    total = len([one for one in found if isinstance(one, Found)]) if isinstance(found, list) else None
    done, objects, refused, outputs = 0, 0, 0, None

    def tell(name: str, reason: str, failed: bool = True) -> None:
        nonlocal refused
        refused += failed
        console.print(f"condetr: {printable(name)}: {printable(reason)}", markup=False, highlight=False, soft_wrap=True)
        if failed and outputs is not None:
            outputs.refuse(name, reason)

    def images() -> Iterator[Found]:
        for one in found:
            if isinstance(one, Found):
                yield one
            else:
                tell(one.name, one.reason, one.refused)

    if total == 0:
        list(images())
        raise typer.Exit(1)
    predictor = Predictor.load(weights, device, precision, compile=compile)  # type: ignore[arg-type]
    enough = predictor.bar(wanted)
    interrupted = False
    try:
        with (
            Outputs.open(out, formats, predictor.categories) as outputs,
            bar("images", console, hidden=total == 1) as count,
        ):
            answers = predictor.stream(images(), 0.0, batch, read=Found.read)
            for number, (one, answer) in enumerate(answers, 1):
                try:
                    if isinstance(answer, ImageError):
                        raise answer
                    certain = answer.filter(min_score=enough)
                    outputs.write(one, certain)
                    done, objects = done + 1, objects + len(certain)
                    if total == 1:
                        Console().print(table(certain) if len(certain) else nothing(answer, threshold))
                except ImageError as error:
                    tell(one.name, str(error))
                count(number, total)
    except KeyboardInterrupt:
        interrupted = True
    summary = f"{done} image{'s' * (done != 1)}, {objects} object{'s' * (objects != 1)}: see {printable(str(out))}"
    print(summary if not interrupted else f"interrupted; kept: {summary}")
    raise typer.Exit(130 if interrupted else int(refused > 0))
