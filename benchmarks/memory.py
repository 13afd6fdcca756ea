"""Compares peak memory with transformers, each figure from a process of its own, and checks that it does not grow.

    python -m benchmarks.memory [--rounds 3] [--threads 2] [--quick]

A figure is the peak of the resident memory of a process: the interpreter, torch, one of the two models, and its work,
four times. It is the median of some processes, because allocators differ by a tenth from one process to the next.
"""

import json
import resource
import statistics
import subprocess
import sys

import torch
from torch import Tensor

from benchmarks.pairing import HEADER, Work, options, row
from benchmarks.peers import as_they_take, detector, transformers_of
from benchmarks.training import some_targets, step, their_step
from condetr.runtime.folded import fold_norms
from condetr.runtime.torch_runtime import TorchRuntime
from condetr.types import Images

FOUR = [(800, 1066), (1066, 800), (800, 800), (800, 1200)]


def resident() -> float:
    """The peak of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10 if sys.platform != "darwin" else 1 << 20)


def measure(whose: str, what: str, times: int) -> list[float]:
    """The peak after each repetition."""
    sizes = {"one": FOUR[:1], "four": FOUR}.get(what, [(640, 640)] * 2)
    images = [torch.randn(3, h, w) for h, w in sizes]
    work, peaks = (own if whose == "ours" else peer)(what, images), []
    with torch.inference_mode(mode=what in ("one", "four")):
        for _ in range(times):
            work()
            peaks.append(resident())
    return peaks


def own(what: str, pixels: list[Tensor]) -> Work:
    model, config = detector("conditional_detr_r50")
    if what == "apart":
        return step(model, config, [Images.pad([one]) for one in pixels], some_targets(2, 7))
    images = Images.pad(pixels)
    if what == "together":
        return step(model, config, [images], some_targets(2, 7))
    fold_norms(model)  # as `Predictor.load`, which keeps both
    runtime = TorchRuntime.folded(model, torch.float32)
    return lambda: (runtime.run(images), model)


def peer(what: str, pixels: list[Tensor]) -> Work:
    """Our detector, whose weights transformers copies, is freed when this returns."""
    model, config = detector("conditional_detr_r50")
    images, training = Images.pad(pixels), what in ("apart", "together")
    theirs, batch = transformers_of(model, config, supervised=training), as_they_take(images)
    return their_step(theirs, config, images, some_targets(2, 7)) if training else lambda: theirs(**batch)


def elsewhere(whose: str, what: str, times: int) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.memory", whose, what, str(times), str(torch.get_num_threads())]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    given = options(__doc__, rounds=3)
    print(HEADER)
    names = {
        "one": "one image, 800 × 1066",
        "four": "four ragged images",
        "apart": "training step, batch 2 at 640, one image at a time",
        "together": "training step, batch 2 at 640, both together",
    }
    for what, name in names.items():
        runs = [
            [elsewhere(whose, what, 2 if given.quick else 4)[-1] for whose in ("ours", "theirs")]
            for _ in range(given.rounds)
        ]
        mine, others = (statistics.median(column) for column in zip(*runs))
        print(row(f"peak memory, {name}", mine, others, 0.8, "MB"), flush=True)
    times = 3 if given.quick else 30
    peaks = elsewhere("ours", "apart", times)
    early = peaks[min(2, len(peaks) - 1)]
    print(f"\n- {times} training steps: {early:.0f} MB after the third, {peaks[-1]:.0f} MB after the last")


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] in {"ours", "theirs"}:
        torch.set_num_threads(int(sys.argv[4]))
        print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
    else:
        main()
