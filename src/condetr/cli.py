"""The subcommands: the only place that prints or exits. Each takes its words apart, calls one verb and shows what it
returns; nothing heavy is imported before a command runs."""

import json
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .errors import CondetrError, PictureError

DEMO_PICTURES = 4000

app = typer.Typer(
    name="condetr",
    help="Conditional DETR: train it on your pictures, run it, and see what it looks at.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

DEFAULT_WEIGHTS = "microsoft/conditional-detr-resnet-50"

Set = Annotated[
    list[str] | None, typer.Option("--set", help="a setting by its dotted path, e.g. train.lr=2e-4; repeatable")
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


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="show this recipe's settings")] = None,
    set_: Set = None,
) -> None:
    """List the recipes, or every setting of one."""
    from . import config
    from .recipes import RECIPES, recipe

    if name is None:
        for each, make in RECIPES.items():
            c = make()
            model = f"{c.model.decoder.kind}, {c.model.backbone.name}/{c.model.backbone.stride}"
            print(f"{each:28}{model:28}{c.model.queries:4} queries{c.data.size:6} px{c.train.epochs:5} epochs")
        return
    print(config.override(recipe(name), settings(set_)).model_dump_json(indent=2))


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="an official .pth file, a weights folder, or a hub id")],
    out: Annotated[Path, typer.Argument(help="the folder to write")],
    to: Annotated[str, typer.Option(help="condetr, or transformers")] = "condetr",
    recipe: Annotated[str | None, typer.Option(help="the architecture, where a .pth does not say (DC5)")] = None,
) -> None:
    """Convert weights: official .pth files and transformers' folders in, our own or transformers' out."""
    from .convert import convert as run

    if to not in ("condetr", "transformers"):
        raise CondetrError(f"--to {to}: condetr or transformers")
    weights = run(source, out, to, recipe)  # type: ignore[arg-type]
    print(f"{out}: {weights.config.recipe}, {len(weights.categories.real)} classes")


@app.command()
def doctor(
    data: Annotated[Path, typer.Argument(help="a folder (COCO, Roboflow, YOLO, Pascal VOC), or a .json or .yaml file")],
    out: Annotated[Path | None, typer.Option(help="a folder for doctor.html and doctor.json")] = None,
    json_: Annotated[bool, typer.Option("--json", help="print JSON for machines instead of tables")] = False,
    queries: Annotated[int | None, typer.Option(min=1, help="how many objects the model can answer")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="read the pictures' headers only")] = False,
) -> None:
    """Look a data set over: counts, and every defect with its place and what training does about it.

    The exit status is 0 when it can be trained on, 1 when not.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from . import doctor as verb
    from .config import Model

    columns = (TextColumn("looking at the pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        raw, diagnosis = verb.doctor(
            data,
            queries or Model().queries,
            verb.header if fast else verb.decode,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    if json_:
        print(json.dumps(verb.as_json(diagnosis)))
    else:
        console = Console()
        console.print(verb.shown(diagnosis))
    if out is not None:
        print(f"page: {verb.write(out, raw, diagnosis)}", file=sys.stderr if json_ else sys.stdout)
    elif not json_:
        print("--out DIR writes a page with the worst pictures drawn, and all of it as JSON")
    if diagnosis.refusal is not None:
        raise typer.Exit(1)


def precision_of(word: str) -> Literal["fp32", "bf16"]:
    if word not in ("fp32", "bf16"):
        raise CondetrError(f"--precision {word}: fp32 or bf16")
    return word  # type: ignore[return-value]


@app.command()
def predict(
    sources: Annotated[
        list[str], typer.Argument(help="pictures, folders, globs, http(s) addresses, or - for standard input")
    ],
    weights: Annotated[str, typer.Option(help="a folder of weights, or a hub id")] = DEFAULT_WEIGHTS,
    threshold: Annotated[str, typer.Option(help="the score that counts, or best: what the weights recommend")] = "0.5",
    out: Annotated[Path, typer.Option(help="the folder for what is written")] = Path("predictions"),
    format: Annotated[str, typer.Option(help="of pictures, coco, jsonl, csv: any, with commas")] = "pictures,jsonl",
    batch: Annotated[int, typer.Option(help="pictures that go through the detector together", min=1)] = 4,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …; a GPU where there is one")] = None,
    precision: Annotated[str, typer.Option(help="fp32, or bf16: faster where the processor has it, rougher")] = "fp32",
) -> None:
    """Find objects in pictures: draws them, and writes them down."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from .predict import Predictor, threshold_of
    from .predicting.outputs import Outputs, formats_of, nothing, plain, table
    from .predicting.sources import Found, Missed, find

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
        console.print(f"condetr: {plain(name)}: {plain(reason)}", markup=False, highlight=False, soft_wrap=True)
        if failed and outputs is not None:
            outputs.refuse(name, reason)

    def pictures() -> Iterator[Found]:
        for one in found:
            if isinstance(one, Found):
                yield one
            else:
                tell(one.name, one.reason, one.refused)

    if total == 0:
        list(pictures())
        raise typer.Exit(1)
    predictor = Predictor.load(weights, device, precision_of(precision))
    bar = predictor.bar(wanted)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, disable=total == 1 or not console.is_terminal, transient=True)
    interrupted = False
    try:
        with Outputs.open(out, formats, predictor.categories) as outputs, progress:
            task = progress.add_task("pictures", total=total)
            for one, answer in predictor.stream(pictures(), 0.0, batch, read=Found.read):
                try:
                    if isinstance(answer, PictureError):
                        raise answer
                    certain = answer.above(bar)
                    outputs.answer(one, certain)
                    done, objects = done + 1, objects + len(certain)
                    if total == 1:
                        Console().print(table(certain) if len(certain) else nothing(answer, threshold))
                except PictureError as error:
                    tell(one.name, str(error))
                progress.advance(task)
    except KeyboardInterrupt:
        interrupted = True
    summary = f"{done} picture{'s' * (done != 1)}, {objects} object{'s' * (objects != 1)}: see {plain(str(out))}"
    print(summary if not interrupted else f"interrupted; kept: {summary}")
    raise typer.Exit(130 if interrupted else int(refused > 0))


@app.command()
def explain(
    sources: Annotated[list[str], typer.Argument(help="pictures, folders, globs, http(s) addresses, or -")],
    weights: Annotated[str, typer.Option(help="a folder of weights, or a hub id")] = DEFAULT_WEIGHTS,
    detection: Annotated[int | None, typer.Option(help="only this detection of each picture, 0 being the best")] = None,
    at: Annotated[str | None, typer.Option(help="X,Y in pixels: what is about this point, found or not")] = None,
    layer: Annotated[int, typer.Option(help="the decoder layer, counted from 0; -1 is the last")] = -1,
    threshold: Annotated[str, typer.Option(help="the score that counts, or best: what the weights recommend")] = "0.5",
    out: Annotated[Path, typer.Option(help="the folder for explain.html and the figures")] = Path("explained"),
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …; a GPU where there is one")] = None,
) -> None:
    """See what the detector looks at: every head's attention for each detection, and why nothing was found."""
    from .explaining.explained import Asked, explain_pictures, point_of
    from .predict import Predictor, threshold_of
    from .predicting.outputs import plain
    from .predicting.sources import Found, find

    asked = Asked(detection, None if at is None else point_of(at), layer, threshold_of(threshold))
    found = list(find(sources, sys.stdin.buffer, apart=out))
    pictures = [one for one in found if isinstance(one, Found)]
    missed = [one for one in found if not isinstance(one, Found)]
    for one in missed:
        print(f"condetr: {plain(one.name)}: {plain(one.reason)}", file=sys.stderr)
    if not pictures:
        raise typer.Exit(1)
    written = explain_pictures(Predictor.load(weights, device), pictures, asked, out)
    for remark in written.remarks:
        print(f"condetr: {plain(remark)}", file=sys.stderr)
    for name, reason in written.refused:
        print(f"condetr: {plain(name)}: {plain(reason)}", file=sys.stderr)
    if written.page is not None:
        print(f"{len(written.figures)} figure{'s' * (len(written.figures) != 1)}; open {plain(str(written.page))}")
    raise typer.Exit(int(bool(written.refused) or any(one.refused for one in missed)))


@app.command()
def digits(
    folder: Annotated[Path, typer.Argument(help="the folder to write; new or empty")],
    pictures: Annotated[int, typer.Option(help="for training; a tenth as many for valid, a fifth for test")] = 2000,
    size: Annotated[int, typer.Option(help="side of each picture, in pixels")] = 96,
    seed: Annotated[int, typer.Option(help="another seed is another data set")] = 0,
) -> None:
    """Write a small data set to try things on: real handwritten digits on photographs."""
    from .data.digits import make_digits

    make_digits(folder, pictures, size, seed)
    print(f"{folder}: {pictures} pictures to train on, with valid and test. Next: condetr train {folder}")


@app.command()
def evaluate(
    weights: Annotated[str | None, typer.Argument(help="a weights folder or hub id; none with --detections")] = None,
    data: Annotated[Path | None, typer.Argument(help="a data set: COCO, Roboflow, YOLO or Pascal VOC")] = None,
    split: Annotated[str | None, typer.Option(help="train, valid or test; else test, or valid without one")] = None,
    out: Annotated[Path, typer.Option(help="a folder for report.html, metrics.json and detections.json")] = Path(
        "evaluation"
    ),
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …; a GPU where there is one")] = None,
    batch: Annotated[int, typer.Option(min=1, help="pictures at a time")] = 8,
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
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from . import evaluate as verb
    from .engine.distributed import joined

    columns = (TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with joined((device or "").startswith("cuda")) as processes:
        silent = not console.is_terminal or not processes.first
        with Progress(*columns, console=console, transient=True, disable=silent) as bar:
            task = bar.add_task("", total=None)
            if detections is not None:
                outcome = verb.of_detections(detections, data, split)
            else:
                assert weights is not None
                outcome = verb.of_weights(
                    weights, data, split, device, batch, processes,
                    lambda done, total: bar.update(task, completed=done, total=total),
                )  # fmt: skip
        if not processes.first:
            return
        if json_:
            print(json.dumps(verb.as_json(outcome)))
        else:
            Console().print(verb.shown(outcome))
        print(f"page: {verb.write(outcome, out)}", file=sys.stderr if json_ else sys.stdout)
        if save_thresholds:
            assert weights is not None
            verb.keep_thresholds(weights, outcome)
            print(f"thresholds saved with {weights}", file=sys.stderr if json_ else sys.stdout)


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="a folder (COCO, Roboflow, YOLO, Pascal VOC), or a .json or .yaml file")],
    recipe: Annotated[str | None, typer.Option(help="see `condetr recipes`; small and nano suit small data")] = None,
    out: Annotated[Path | None, typer.Option(help="the folder of the run; runs/NAME if not given")] = None,
    init: Annotated[
        str | None, typer.Option("--init", "--weights", help="imagenet, none, a backbone's file, a folder, a hub id")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="train.epochs")] = None,
    batch: Annotated[int | None, typer.Option(help="train.batch: pictures in a step, over all processes")] = None,
    lr: Annotated[float | None, typer.Option(help="train.lr: the rate; the backbone's is a multiple of it")] = None,
    size: Annotated[int | None, typer.Option(help="data.size: the short side, in pixels")] = None,
    queries: Annotated[int | None, typer.Option(help="model.queries: how many objects a picture may have")] = None,
    seed: Annotated[int | None, typer.Option(help="train.seed")] = None,
    precision: Annotated[str | None, typer.Option(help="train.precision: fp32, bf16 or fp16")] = None,
    set_: Set = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on where the run stands, or start it")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …; a GPU where there is one")] = None,
    workers: Annotated[int | None, typer.Option(help="threads that read pictures ahead", min=0)] = None,
    micro_batch: Annotated[int | None, typer.Option(help="pictures at a time, where memory is short", min=1)] = None,
    track: Annotated[list[str] | None, typer.Option(help="tensorboard, wandb, mlflow, trackio; repeatable")] = None,
) -> None:
    """Train on your pictures. Under torchrun all processes train together."""
    from rich.console import Console

    from .train import train as run
    from .training.live import following
    from .training.run_folder import RunFolder
    from .training.settings import free_folder, latest_folder, resolve

    runs, base = Path("runs"), None
    out = out or (latest_folder(data, runs) if resume else free_folder(data, runs))
    if resume and RunFolder(out).begun():
        base = RunFolder(out).saved_config()
    flags = {"init": init, "epochs": epochs, "batch": batch, "lr": lr, "size": size, "queries": queries, "seed": seed,
             "precision": precision}  # fmt: skip
    config = resolve(recipe, flags, settings(set_), base)
    with following(Console()) as progress:
        result = run(
            data, out, config, resume=resume, device=device, workers=workers, micro_batch=micro_batch,
            trackers=tuple(track or ()), progress=progress,
        )  # fmt: skip
    if result.first:
        scored = f"best AP {result.best_ap:.3f} in epoch {result.best_epoch + 1}: {out / 'best'}, " * (
            result.best_epoch >= 0
        )
        print(f"{scored}last weights: {out / 'last'}")


@app.command()
def compare(
    data: Annotated[Path, typer.Argument(help="a data set with a split to measure on")],
    models: Annotated[
        str | None, typer.Option(help="recipes or variants, with commas, e.g. detr,conditional_detr")
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="a ready-made list: headline, transforms, queries, references, ladder")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="what variants start from; nano or small if not given")] = None,
    epochs: Annotated[str | None, typer.Option(help="complete schedules, e.g. 12,25,50")] = None,
    seeds: Annotated[int, typer.Option(help="trainings of each model and schedule", min=1)] = 3,
    budget: Annotated[float | None, typer.Option(help="minutes for all; what does not fit is left out")] = None,
    reference: Annotated[str | None, typer.Option(help="the model to compare with; the first one")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="path=value for all models, MODEL:path=value for one; repeatable")
    ] = None,
    hold_out: Annotated[
        float | None, typer.Option(help="measure on this part of the training pictures, where there is no valid")
    ] = None,
    out: Annotated[Path, typer.Option(help="the folder of the study; again the same: it goes on")] = Path("comparison"),
    runs: Annotated[Path | None, typer.Option(help="a folder of runs to share with other studies")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …; a GPU where there is one")] = None,
    jobs: Annotated[int, typer.Option(help="trainings at a time", min=1)] = 1,
) -> None:
    """How much sooner does one model learn than another? Trains them side by side, and reports it."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from . import compare as verb
    from .comparing import variants
    from .comparing.terminal import shown

    if (models is None) == (study is None):
        raise CondetrError(f"compare: give --models A,B or --study; the studies are {', '.join(variants.STUDIES)}")
    names = models.split(",") if models is not None else variants.study(study or "")
    console = Console(highlight=False, soft_wrap=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("epochs", total=None)

        def tell(event: verb.Event) -> None:
            if isinstance(event, verb.Planned):
                bar.update(task, total=sum(run.epochs for run in event.left))
            if isinstance(event, verb.Advanced):
                bar.advance(task)
            for line in verb.lines(event):
                console.print(line, markup=False)

        compared = verb.compare(
            data, [name.strip() for name in names], out, recipe=recipe, settings=settings(set_),
            epochs=_whole_numbers("--epochs", epochs), seeds=seeds, budget=budget, reference=reference,
            hold_out=hold_out, runs=runs, device=device, jobs=jobs, tell=tell,
        )  # fmt: skip
    console.print(shown(compared.comparison), soft_wrap=False)
    print(f"page: {out / 'report.html'}, numbers: {out / 'comparison.json'}")
    if compared.unfinished:
        raise CondetrError("; ".join(compared.problems[:3]) or f"not done: {', '.join(compared.unfinished)}")


def _whole_numbers(flag: str, words: str | None) -> list[int] | None:
    try:
        return None if words is None else [int(word) for word in words.split(",")]
    except ValueError:
        raise CondetrError(f"{flag} {words}: whole numbers with commas, for example 12,25,50") from None


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="the folder to write; new or empty")] = Path("demo"),
    pictures: Annotated[int, typer.Option(min=10, help="to train on")] = DEMO_PICTURES,
    epochs: Annotated[int | None, typer.Option(help="train.epochs")] = None,
    seed: Annotated[int, typer.Option(help="of the pictures and of the training")] = 0,
) -> None:
    """The whole way in minutes: make pictures, train from nothing, evaluate, predict, and a report to open."""
    from rich.console import Console

    from .demo import demo as run
    from .training.live import following
    from .training.plan import duration
    from .training.settings import resolve

    console = Console()
    as_written = {
        "data.flip_chance": 0.0,
        "data.crop_chance": 0.0,
        "data.scales": [1.0],
    }  # a digit has one side to read
    config = resolve("nano", {"epochs": epochs, "seed": seed}, as_written, None)
    with following(console) as progress:
        done = run(out, pictures, seed, config, progress, lambda line: console.print(line, highlight=False))
    summary = done.evaluation.summary
    print(f"on digits nobody has seen: AP {summary.ap:.3f}, AP50 {summary.ap50:.3f}")
    print(", ".join(f"{part} {duration(seconds)}" for part, seconds in done.seconds.items()))
    print(f"pictures with boxes: {done.pictures}")
    print(f"the report: {done.report.resolve()}")


def main() -> None:
    """The entry point: a user's mistake is one line on standard error and a non-zero exit, never a traceback."""
    try:
        app()
    except CondetrError as error:
        if error.spoken:
            print(f"condetr: {error}", file=sys.stderr)
        sys.exit(error.status)
    except KeyboardInterrupt:
        print("condetr: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)


if __name__ == "__main__":
    main()
