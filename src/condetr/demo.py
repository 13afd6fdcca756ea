"""The whole way in one go, with no data, no network and no GPU: make images, train from nothing, evaluate on digits
nobody has seen, predict, and write the report."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from .config import Config
from .datasets.digits import make_digits
from .detections import Detections
from .errors import CondetrError
from .evaluating.evaluate import evaluate
from .evaluating.evaluation import Evaluation
from .predicting import predictor as predict
from .predicting.outputs import Outputs
from .predicting.sources import Found, Opened, find
from .training.progress import Progress
from .training.train import train

SHOWN = 8  # test images that are drawn with their answers


@dataclass(frozen=True, slots=True)
class Demo:
    """Where everything lies, how good the detector is on the test split, and how long each part took, in seconds."""

    data: Path
    weights: Path
    images: Path
    report: Path
    evaluation: Evaluation
    seconds: dict[str, float]


def demo(out: Path, images: int, seed: int, config: Config, progress: Progress, say: Callable[[str], None]) -> Demo:
    """Run the demo in the folder `out`, new or empty."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CondetrError(f"{out}: is there already and not empty. Remove it, or name another with --out")
    torch.set_num_threads(1)  # a model this small waits for a second thread longer than that helps
    seconds: dict[str, float] = {}
    started = time.perf_counter()

    def done(part: str) -> None:
        seconds[part] = time.perf_counter() - started - sum(seconds.values())

    data, run = out / "digits", out / "run"
    say(f"drawing {images} images of handwritten digits to train on, and others to test with")
    make_digits(data, images, config.data.size, seed)
    done("data")
    say(f"training {config.recipe} from nothing")
    train(data, run, config, progress=progress)
    done("train")
    say("evaluating on the test split: digits by other hands, on other parts of the photographs")
    weights = run / "best"
    evaluation = evaluate(weights, data, split="test", batch=16)
    report = evaluation.write(out / "report")
    done("evaluate")
    predictor = predict.Predictor.load(weights, "cpu")
    words = [str(sample.path) for sample in evaluation.split.samples[:SHOWN]]
    with Outputs.open(out / "predictions", ("images", "jsonl"), predictor.categories) as outputs:
        found = [one for one in find(words, io.BytesIO(), exclude=out / "predictions") if isinstance(one, Found)]
        for one, answer in predictor.stream(map(outputs.opened, found), 0.5, batch=8, read=Opened.read):
            assert isinstance(answer, Detections)
            outputs.write(one, answer)
    done("predict")
    return Demo(data, weights, out / "predictions", report, evaluation, seconds)
