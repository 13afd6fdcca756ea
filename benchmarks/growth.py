"""Measures how time and memory grow with image size, queries, batch and data, and fits the exponent of each.

    python -m benchmarks.growth [--rounds 3] [--threads 2] [--quick]

The exponent is the slope of log(cost) against log(work) over the upper half of each range, where constant costs matter
less. Against the number of pixels, convolutions have an exponent of 1 and the encoder's attention of 2. Memory is the
peak of a separate process, less its memory before the first prediction. The last figures are of 50 epochs of a small
training: the resident memory after some of them, and its slope over the second half.
"""

import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import torch

from benchmarks.evaluation import ours as evaluated
from benchmarks.evaluation import scene
from benchmarks.loading import embedded, samples
from benchmarks.memory import resident
from benchmarks.pairing import options, seconds
from condetr import config, recipes
from condetr.build import build_augmentation, build_detector
from condetr.config import Data
from condetr.datasets.digits import make_digits
from condetr.images.cache import FileReader
from condetr.images.loader import Loader
from condetr.runtime.torch_runtime import TorchRuntime
from condetr.training.progress import Epoch
from condetr.training.train import train
from condetr.types import Images


def exponent(work: Sequence[float], cost: Sequence[float]) -> float:
    half = min(len(work) // 2, len(work) - 2)
    x, y = [math.log(w) for w in work[half:]], [math.log(c) for c in cost[half:]]
    return statistics.linear_regression(x, y).slope


def table(what: str, values: Sequence[int], work: Sequence[float], costs: dict[str, Sequence[float]]) -> None:
    print(f"\n| {what} | {' | '.join(map(str, values))} | exponent |")
    print("|---" * (len(values) + 2) + "|")
    for name, cost in costs.items():
        print(f"| {name} | {' | '.join(f'{c:.3g}' for c in cost)} | {exponent(work, cost):.2f} |", flush=True)


def predicting(queries: int, side: int, batch: int, rounds: int) -> tuple[float, float]:
    """Seconds for one batch, and the MB that predicting adds to the process; for a fresh process."""
    model = recipes.recipe("conditional_detr_r50").model
    detector = build_detector(config.Model(**{**model.model_dump(), "queries": queries}), 91).eval()
    runtime, images = TorchRuntime.folded(detector, torch.float32), Images.pad([torch.randn(3, side, side)] * batch)
    before = resident()
    time = seconds({"": lambda: runtime.run(images)}, rounds)[""]
    return time, resident() - before


def elsewhere(rounds: int, queries: int = 300, side: int = 640, batch: int = 1) -> tuple[float, float]:
    given = (queries, side, batch, rounds, torch.get_num_threads())
    command = [sys.executable, "-m", "benchmarks.growth", "one", *map(str, given)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def curve(what: str, values: Sequence[int], work: Sequence[float], points: list[tuple[float, float]]) -> None:
    table(what, values, work, {"seconds": [p[0] for p in points], "MB": [p[1] for p in points]})


def data_sets(quick: bool, rounds: int) -> None:
    counts = (50, 200) if quick else (500, 1000, 2000, 5000)
    times = []
    for count in counts:
        truths, detections = scene(count)
        times.append(seconds({"": lambda t=truths, d=detections: evaluated(t, d)}, rounds)[""])
    table("images evaluated, 100 detections each", counts, counts, {"seconds": times})
    counts = (24, 48) if quick else (48, 96, 192, 384)
    times, peaks = [], []
    with tempfile.TemporaryDirectory() as scratch:
        files = embedded(Path(scratch), 12)
        for count in counts:
            given, augmentation = samples(files * (count // 12)), build_augmentation(Data())
            loader = Loader(given, augmentation, 0, 4, epochs=1, read=FileReader(), workers=0)

            def epoch(loader: Loader = loader) -> None:
                for batch in loader.epoch(0):
                    assert len(batch.images)

            times.append(seconds({"": epoch}, 1)[""])
            peaks.append(resident())
    table("images loaded, the papers' augmentation", counts, counts, {"seconds": times, "MB, whole process": peaks})


def epochs(count: int) -> None:
    """Resident memory after each epoch of a small training."""
    size = {"model.dim": 64, "model.hidden": 64, "model.encoder_layers": 1, "model.decoder_layers": 2}
    small = config.override(
        recipes.recipe("nano"), {**size, "data.size": 64, "train.batch": 8, "train.epochs": count, "model.queries": 20}
    )
    after: list[float] = []

    def record(event: object) -> None:
        if isinstance(event, Epoch):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            after.append(pages * 4096 / 2**20)

    with tempfile.TemporaryDirectory() as scratch:
        make_digits(Path(scratch, "digits"), 80, 64, seed=0)
        started = perf_counter()
        train(Path(scratch, "digits"), Path(scratch, "run"), small, device="cpu", workers=1, progress=record)
    places = sorted({0, len(after) // 5, len(after) // 2, len(after) - 1})
    late = after[len(after) // 2 :]
    slope = statistics.linear_regression(range(len(late)), late).slope if len(late) > 1 else 0.0
    print(
        f"\n- {len(after)} epochs of a small training ({perf_counter() - started:.0f} s): resident "
        + ", ".join(f"{after[i]:.0f} MB after epoch {i + 1}" for i in places)
        + f"; slope of the second half {slope * 1024:+.0f} KB an epoch"
    )


def main() -> None:
    given = options(__doc__, rounds=3)
    sides = (320, 640) if given.quick else (320, 480, 640, 800, 960, 1280, 1600)
    points = [elsewhere(given.rounds, side=side) for side in sides]
    curve("side of a square image (work: pixels)", sides, [side * side for side in sides], points)
    counts = (100, 300) if given.quick else (100, 300, 500, 1000)
    curve("queries, at 640 × 640", counts, counts, [elsewhere(given.rounds, queries=n) for n in counts])
    batches = (1, 2) if given.quick else (1, 2, 4, 8)
    curve("images of 640 × 640", batches, batches, [elsewhere(given.rounds, batch=n) for n in batches])
    data_sets(given.quick, given.rounds)
    epochs(3 if given.quick else 50)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        queries, side, batch, rounds, threads = map(int, sys.argv[2:])
        torch.set_num_threads(threads)
        print(json.dumps(predicting(queries, side, batch, rounds)))
    else:
        main()
