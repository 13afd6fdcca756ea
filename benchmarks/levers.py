"""What the additions to Conditional DETR cost: a training step of `small` and of `nano`, without them and without each.

    python -m benchmarks.levers [--rounds 15] [--threads 1] [--quick]

Everything else is equal: backbone, layers, queries, images. A step is that of `condetr train`: forward, matching,
losses, backward, clipping, AdamW, moving average. One image of 426 × 320 with 14 objects for `small`, eight of 80 × 80
with 4 objects each for `nano`. Times are CPU times, which other processes affect less.
"""

from time import process_time
from typing import Any

import torch

from benchmarks.pairing import Work, options, seconds
from benchmarks.training import some_targets
from condetr import recipes
from condetr.build import build_detector
from condetr.config import Config, override
from condetr.engine.distributed import SINGLE
from condetr.engine.precision import Float32
from condetr.images.batch import Batch
from condetr.training.loop import Loop
from condetr.types import OptimizerStep

CONDITIONAL = {"model.decoder": {"kind": "conditional"}, "model.reference": "predicted"}
KEYS, FOCAL, NO_DENOISING = {"model.keys": "encoder"}, {"model.scoring": {"kind": "focal"}}, {"train.denoising": 0}
STEPS: dict[str, dict[str, Any]] = {
    "Conditional DETR": CONDITIONAL | KEYS | FOCAL | NO_DENOISING,
    "the recipe": {},
    "… with keys at the encoder's stride": KEYS,
    "… without denoising queries": NO_DENOISING,
    "… without box bias": {"model.decoder.box_bias": "none"},
    "… with focal scores": FOCAL,
    "… without all of these": KEYS | FOCAL | NO_DENOISING | {"model.decoder.box_bias": "none"},
}
IMAGES = {"small": (1, (426, 320), 14), "nano": (8, (80, 80), 4)}


def batch(images: int, size: tuple[int, int], objects: int) -> Batch:
    width, height = size
    pixels = torch.randint(0, 256, (images, height, width, 3), dtype=torch.uint8)
    targets = some_targets(images, objects)
    return Batch(pixels, (size,) * images, targets, [], 0, OptimizerStep.of(targets).object_counts, last=True)


def step(config: Config, given: Batch) -> Work:
    torch.manual_seed(0)
    loop = Loop(build_detector(config.model, 91), config, 1000, torch.device("cpu"), Float32(), SINGLE)
    return lambda: loop.step([given], config.train.lr, 0, stop=False)


def main() -> None:
    given = options(__doc__, rounds=15, threads=1)
    times = {}
    for name, images in IMAGES.items():
        torch.manual_seed(0)
        step_images, config = batch(*images), recipes.recipe(name)
        work = {what: step(override(config, settings), step_images) for what, settings in STEPS.items()}
        times[name] = seconds(work, given.rounds, process_time)
    print(f"| | {' | '.join(f'`{name}` | relative' for name in times)} |\n|---|{'---|' * 2 * len(times)}")
    base = {name: time["Conditional DETR"] for name, time in times.items()}
    for what in STEPS:
        cells = [f"{time[what] * 1e3:.0f} ms | {time[what] / base[name]:.2f}" for name, time in times.items()]
        print(f"| {what} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
