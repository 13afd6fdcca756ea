"""Compares training steps and inference on a GPU with transformers, same weights: Conditional DETR R50.

    python -m benchmarks.gpu [--rounds 10] [--quick]

A training step is that of `condetr train`: eight images of 1066 × 800 with 7 objects each, from bytes in the computer's
memory to the optimizer's step. transformers gets normalised images on the GPU, and autocast in bf16. Inference is that
of `Predictor`: one image of 1066 × 800, and eight together, from bytes to arrays of boxes and scores. transformers gets
normalised images on the GPU and returns tensors there.
"""

import numpy as np
import torch
from torch import nn

from benchmarks.pairing import Work, options, seconds
from benchmarks.peers import as_they_take, detector, transformers_of
from benchmarks.training import labels, some_targets
from condetr import Predictor, recipes
from condetr.build import build_detector
from condetr.checkpoint import Weights
from condetr.config import Config
from condetr.engine.distributed import SINGLE
from condetr.engine.precision import precision
from condetr.images.batch import Batch
from condetr.interchange import coco_categories
from condetr.training.loop import Loop
from condetr.types import Images, OptimizerStep

GPU = torch.device("cuda")
WIDTH, HEIGHT = 1066, 800
IMAGES = 8


def waiting(work: Work) -> Work:
    def done() -> None:
        work()
        torch.cuda.synchronize()

    return done


def step(config: Config, name: str, images: int) -> Work:
    targets = some_targets(images, 7)
    size = (round(config.data.size * 4 / 3), config.data.size)
    pixels = torch.randint(0, 256, (images, size[1], size[0], 3), dtype=torch.uint8)
    given = Batch(pixels, (size,) * images, targets, [], 0, OptimizerStep.of(targets).object_counts, last=True)
    torch.manual_seed(0)
    loop = Loop(build_detector(config.model, 91), config, 1000, GPU, precision(name, GPU), SINGLE)
    return lambda: loop.step([given], config.train.lr, 0, stop=False)


def their_step(theirs: nn.Module, name: str) -> Work:
    theirs.train()
    for key, parameter in theirs.named_parameters():
        parameter.requires_grad_("backbone" not in key or any(part in key for part in ("layer2", "layer3", "layer4")))
    trained = [p for p in theirs.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    batch = as_they_take(Images.pad([torch.randn(3, HEIGHT, WIDTH) for _ in range(IMAGES)]).to(GPU))
    labelled = labels([target.to(GPU) for target in some_targets(IMAGES, 7)])

    def work() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=name == "bf16"):
            loss = theirs(**batch, labels=labelled).loss
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 0.1)
        optimizer.step()

    return work


def measured(name: str, work: Work, images: int, rounds: int) -> None:
    """Print the median time of one contestant and the peak of its memory. One after the other: two do not fit."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    time = seconds({name: waiting(work)}, rounds)[name]
    peak = torch.cuda.max_memory_allocated() / 2**30
    print(f"| {name} | {time * 1e3:.1f} ms | {images / time:.1f} | {peak:.1f} GiB |", flush=True)


def training(rounds: int) -> None:
    print("\n| training | step | images/s | memory |\n|---|---|---|---|")
    for name, images in (
        ("conditional_detr_r50", IMAGES),
        ("conditional_detr_r50", 2 * IMAGES),
        ("condetr_r50", IMAGES),
    ):
        for kind in ("fp32", "bf16"):
            measured(f"{name}, {images} images, {kind}", step(recipes.recipe(name), kind, images), images, rounds)
    for images in (1, 4, 16):
        measured(f"small, {images} images, fp32", step(recipes.recipe("small"), "fp32", images), images, rounds)
    ours, config = detector("conditional_detr_r50")
    for kind in ("fp32", "bf16"):
        theirs = transformers_of(ours, config, supervised=True).to(GPU)
        measured(f"transformers, {kind}", their_step(theirs, kind), IMAGES, rounds)


def inference(rounds: int) -> None:
    ours, config = detector("conditional_detr_r50")
    theirs = transformers_of(ours, config, supervised=False).to(GPU)
    weights = Weights(ours, config, coco_categories(), None)
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    print("\n| inference | time | images/s | memory |\n|---|---|---|---|")
    for images in (1, IMAGES):
        for name in ("fp32", "bf16"):
            one = Predictor(weights, "cuda", precision=name)

            def detect(one=one, images=images) -> None:
                one.runtime.detect([image] * images, [(WIDTH, HEIGHT)] * images, one.categories, 100)

            measured(f"condetr, {images}, {name}", detect, images, rounds)
            batch = as_they_take(Images.pad([torch.randn(3, HEIGHT, WIDTH) for _ in range(images)]).to(GPU))

            def transformers(batch=batch, name=name) -> None:
                with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=name == "bf16"):
                    theirs(**batch)

            measured(f"transformers, {images}, {name}", transformers, images, rounds)


def main() -> None:
    given = options(__doc__, rounds=10)
    training(given.rounds)
    inference(given.rounds)


if __name__ == "__main__":
    main()
