"""The whole workflow on generated images, offline and without a GPU: train, evaluate, predict, report."""

import io
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from .config import Config
from .datasets.digits import make_digits
from .detections import Detections
from .evaluating.evaluate import evaluate
from .evaluating.evaluation import Evaluation
from .files import check_new_folder
from .predicting.outputs import Outputs
from .predicting.predictor import Predictor
from .predicting.sources import Found, Opened, find
from .training.progress import Progress
from .training.train import train

SHOWN = 8  # test images that are drawn with their detections


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the files are, how good the detector is on the test split, and how many seconds each part took."""

    data: Path
    weights: Path
    images: Path
    report: Path
    evaluation: Evaluation
    seconds: dict[str, float]


def demo(out: Path, images: int, seed: int, config: Config, progress: Progress, say: Callable[[str], None]) -> Demo:
    """Run the demo in the folder `out`, which must be new or empty, and is left so when the demo does not end.

    `say` gets a line about each part.
    """
    check_new_folder(out)
    torch.set_num_threads(1)  # so small a model is no faster with two
    existed = out.exists()
    try:
        return _steps(out, images, seed, config, progress, say)
    except BaseException:  # Ctrl-C too: what is half done would stand in the way of the next demo
        shutil.rmtree(out, ignore_errors=True)
        if existed:
            out.mkdir(exist_ok=True)
        raise


def _steps(out: Path, images: int, seed: int, config: Config, progress: Progress, say: Callable[[str], None]) -> Demo:
    seconds: dict[str, float] = {}
    started = time.perf_counter()

    def done(part: str) -> None:
        seconds[part] = time.perf_counter() - started - sum(seconds.values())

    data = out / "digits"
    say(f"generating {images} training images of handwritten digits, and others to test with")
    make_digits(data, images, config.data.size, seed)
    done("data")
    say(f"training {config.recipe} from scratch")
    run = train(data, config, out=out / "run", progress=progress)
    done("train")
    say("evaluating on the test split: digits by other writers, on other parts of the photographs")
    evaluation = evaluate(run.weights, data, split="test", batch=16)
    report = evaluation.write(out / "report")
    done("evaluate")
    predictor = Predictor.load(run.weights, "cpu")
    sources = [str(sample.path) for sample in evaluation.split.samples[:SHOWN]]
    with Outputs.open(out / "predictions", ("images", "jsonl"), predictor.categories) as outputs:
        found = [one for one in find(sources, io.BytesIO(), exclude=out / "predictions") if isinstance(one, Found)]
        for one, detections in predictor.stream(map(outputs.opened, found), 0.5, batch=8, read=Opened.read):
            assert isinstance(detections, Detections)
            outputs.write(one, detections)
    done("predict")
    return Demo(data, run.weights, out / "predictions", report, evaluation, seconds)
