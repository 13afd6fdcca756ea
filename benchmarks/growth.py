"""How time and memory grow with the work: picture size, queries, batch; the exponent of each is fitted.

    python -m benchmarks.growth [--rounds 3] [--threads 2] [--quick]

The exponent is the slope of log(time) against log(work), over the upper half of each range, where constant costs no
longer hide it. Against the number of pixels 1 is what convolutions cost and 2 what the encoder's attention does.
"""

import math
import statistics
from collections.abc import Sequence

import torch

from benchmarks.pairing import options, seconds
from condetr import config, recipes
from condetr.build import build_detector
from condetr.model.inference import InferenceForm
from condetr.types import Images


def exponent(work: Sequence[float], cost: Sequence[float]) -> float:
    half = min(len(work) // 2, len(work) - 2)
    x, y = [math.log(w) for w in work[half:]], [math.log(c) for c in cost[half:]]
    return statistics.linear_regression(x, y).slope


def form(**changes: object) -> InferenceForm:
    model = recipes.recipe("conditional_detr_r50").model
    return InferenceForm(build_detector(config.Model(**{**model.model_dump(), **changes}), 91).eval(), torch.float32)


def table(what: str, values: Sequence[int], work: Sequence[float], cost: Sequence[float]) -> None:
    print(f"\n| {what} | {' | '.join(map(str, values))} | exponent |")
    print("|---" * (len(values) + 2) + "|")
    print(f"| seconds | {' | '.join(f'{c:.3f}' for c in cost)} | {exponent(work, cost):.2f} |", flush=True)


def main() -> None:
    given = options(__doc__, rounds=3)
    usual = form()

    def time(using: InferenceForm, *sizes: tuple[int, int]) -> float:
        images = Images.pad([torch.randn(3, h, w) for h, w in sizes])
        return seconds({"": lambda: using.answer(images)}, given.rounds)[""]

    sides = (320, 640) if given.quick else (320, 480, 640, 800, 960, 1280, 1600)
    table(
        "side of a square picture (work: pixels)", sides, [s * s for s in sides], [time(usual, (s, s)) for s in sides]
    )
    counts = (100, 300) if given.quick else (100, 300, 500, 1000)
    costs = [time(form(queries=n), (640, 640)) for n in counts]
    table("queries, at 640 × 640", counts, counts, costs)
    batches = (1, 2) if given.quick else (1, 2, 4, 8)
    table("pictures of 640 × 640", batches, batches, [time(usual, *[(640, 640)] * n) for n in batches])


if __name__ == "__main__":
    main()
