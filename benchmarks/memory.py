"""Peak memory beside transformers', and whether it grows: each figure from a process of its own.

    python -m benchmarks.memory [--threads 2] [--quick]

The peak of a process's resident memory, less what it was with both libraries imported and the model loaded.
"""

import json
import resource
import subprocess
import sys

import torch

from benchmarks.pairing import HEADER, options, row
from benchmarks.peers import as_they_take, detector, transformers_of
from benchmarks.training import some_targets, step, their_step
from condetr.model.inference import InferenceForm
from condetr.types import Images

FOUR = [(800, 1066), (1066, 800), (800, 800), (800, 1200)]


def resident() -> float:
    """The peak so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10 if sys.platform != "darwin" else 1 << 20)


def measure(whose: str, what: str, times: int) -> list[float]:
    """The peak after each time: only one of the two models is ever used."""
    model, config = detector("conditional_detr_r50")
    theirs = None if whose == "ours" else transformers_of(model, config, supervised=what == "step")
    sizes = {"one": FOUR[:1], "four": FOUR, "step": [(640, 640)] * 2}[what]
    images = Images.pad([torch.randn(3, h, w) for h, w in sizes])
    peaks = []
    if what == "step":
        targets = some_targets(2, 7)
        work = step(model, config, images, targets) if theirs is None else their_step(theirs, config, images, targets)
    else:
        form, batch = InferenceForm(model, torch.float32), as_they_take(images)
        work = (lambda: form.answer(images)) if theirs is None else (lambda: theirs(**batch))
    with torch.inference_mode(mode=what != "step"):
        for _ in range(times):
            work()
            peaks.append(resident())
    return peaks


def elsewhere(whose: str, what: str, times: int) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.memory", whose, what, str(times), str(torch.get_num_threads())]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    given = options(__doc__, rounds=1)
    print(HEADER)
    names = {"one": "one picture, 800 × 1066", "four": "four ragged pictures", "step": "training step, batch 2 at 640"}
    for what, name in names.items():
        peaks = {whose: elsewhere(whose, what, 2 if given.quick else 3)[-1] for whose in ("ours", "theirs")}
        print(row(f"peak memory, {name}", peaks["ours"], peaks["theirs"], 0.8, "MB"), flush=True)
    times = 3 if given.quick else 30
    peaks = elsewhere("ours", "step", times)
    early = peaks[min(2, len(peaks) - 1)]
    print(f"\n- {times} training steps: {early:.0f} MB after the third, {peaks[-1]:.0f} MB after the last")


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] in {"ours", "theirs"}:
        torch.set_num_threads(int(sys.argv[4]))
        print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
    else:
        main()
