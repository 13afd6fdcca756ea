"""`condetr predict`: find objects in images."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import CondetrError, ImageError
from ..plural import counted
from ..reports.terminal import printable
from ..suggestions import did_you_mean, nearest_path
from .flags import as_typed
from .options import DEFAULT_WEIGHTS, Device, Quiet, Runtime, Threshold, Weights, confidence, one_of, words
from .progress import progress_bar
from .stopping import status_of
from .streams import announce, message, messages, results, standard_input

if TYPE_CHECKING:
    from ..detections import Detection
    from ..predicting.outputs import Outputs
    from ..types import Categories

STDOUT = Path("-")
FORMATS = "images,jsonl"
MOST = 100  # objects of an image, as COCO's metrics count


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="IMAGES", help="images, folders, globs, http(s) addresses, or - for standard input"),
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
    classes: Annotated[
        str | None, typer.Option(metavar="A,B", help="only objects of these classes, e.g. cat,dog")
    ] = None,
    max_detections: Annotated[
        int, typer.Option(metavar="N", min=1, help="the most objects of an image, those with the highest scores")
    ] = MOST,
    one_class_per_box: Annotated[
        bool, typer.Option("--one-class-per-box", help="keep only the class with the highest score of each box")
    ] = False,
    batch: Annotated[int, typer.Option(metavar="N", help="images that go through the detector together", min=1)] = 4,
    device: Device = None,
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="fp32, or bf16: faster where the processor has it, less exact")
    ] = "fp32",
    runtime: Runtime = None,
    compile: Annotated[bool, typer.Option("--compile", help="compile the detector first, which takes minutes")] = False,
    quiet: Quiet = False,
) -> None:
    """Find objects in images: draws them, and writes them to files."""
    from ..predicting.sources import Found, Opened, Skipped, find

    one_of("--precision", precision, "fp32", "bf16")
    if runtime is not None:
        one_of("--runtime", runtime, "torch", "onnx", "openvino")
    if out == STDOUT and format not in (None, "jsonl"):
        raise CondetrError(f"--format {format}: --out - prints only jsonl. Name a folder with --out, or leave it out")
    if out == STDOUT and sys.stdout is None:
        raise CondetrError("--out -: there is no standard output. Name a folder with --out")
    names = None if classes is None else words("--classes", classes)
    found: Iterable[Found | Skipped] = find(sources, standard_input(), exclude=out)
    if "-" not in sources:
        found = list(found)
    total = len([one for one in found if isinstance(one, Found)]) if isinstance(found, list) else None
    done, objects, full, failures, outputs = 0, 0, 0, 0, None
    best: tuple[Detection, str] | None = None  # of all images, in the image of this name

    def report(name: str, reason: str, failed: bool = True) -> None:
        nonlocal failures
        failures += failed
        if failed or not quiet:
            suggestion = did_you_mean(nearest_path(Path(name))) if reason.startswith("no such file") else ""
            message(f"{name}: {reason}{suggestion}")
        if failed and outputs is not None:
            outputs.skip(name, reason)

    def images() -> Iterator[Found]:
        for one in found:
            if isinstance(one, Found):
                yield one
            else:
                report(one.name, one.reason, one.failed)

    if total == 0:
        list(images())
        raise typer.Exit(1)
    announce("loading", weights)
    from ..predicting.outputs import nothing, parse_formats, table
    from ..predicting.predictor import Predictor

    formats = parse_formats(format or FORMATS)
    wanted = confidence(threshold)
    predictor = Predictor.load(weights, device, precision, compile=compile, runtime=runtime)  # type: ignore[arg-type]
    min_score = predictor.min_score(wanted)
    status = 0
    try:
        with (
            _outputs(out, formats, predictor.categories) as outputs,
            progress_bar("images", messages(), hidden=quiet or total == 1) as count,
        ):
            opened = map(outputs.opened, images())
            predictions = predictor.stream(
                opened, 0.0, batch, Opened.read, classes=names, max_detections=max(max_detections, MOST),
                one_class_per_box=one_class_per_box, ahead=outputs.ahead(batch),
            )  # fmt: skip
            for number, (one, detections) in enumerate(predictions, 1):
                try:
                    if isinstance(detections, ImageError):
                        raise detections
                    kept = detections.filter(min_score=min_score)[:max_detections]
                    outputs.write(one, kept)
                    done, objects, full = done + 1, objects + len(kept), full + (len(kept) == max_detections)
                    if len(detections) and (best is None or detections[0].score > best[0].score):
                        best = detections[0], one.found.name
                    if total == 1 and out != STDOUT and len(kept):
                        results(quiet).print(table(kept), markup=False)
                except ImageError as error:
                    report(one.found.name, str(error))
                count(number, total)
    except KeyboardInterrupt as interrupt:
        status = status_of(interrupt)
    if not quiet and out != STDOUT:
        if done and not objects and not status:
            name = best[1] if best and done > 1 else ""
            print(printable(as_typed(nothing(best[0] if best else None, min_score, name))))
        summary = f"{counted(done, 'image')}, {counted(objects, 'object')}: see {printable(str(out))}"
        print(f"interrupted; kept: {summary}" if status else summary)
        if full:
            most = f"{counted(max_detections, 'object')}, the most that are kept: --max-detections N keeps more"
            print(f"{counted(full, 'image')} with {most}" if done > 1 else f"it has {most}")
    elif status:
        message("interrupted")
    raise typer.Exit(status or int(failures > 0))


def _outputs(out: Path, formats: tuple[str, ...], categories: "Categories") -> "AbstractContextManager[Outputs]":
    """The files of a folder, or standard output for `-`: one line of JSON for each image, written at once."""
    from ..predicting.outputs import Outputs
    from ..predicting.writers import JsonLines

    stdout: Any = sys.stdout
    return nullcontext(Outputs(out, [JsonLines(stdout)])) if out == STDOUT else Outputs.open(out, formats, categories)
