"""Compares a training step with transformers, and matching and loss alone.

    python -m benchmarks.training [--rounds 5] [--threads 2] [--quick]

A step is: R50, two images of 640 × 640 with 7 objects each; forward, matching, the losses of six decoder layers,
backward, clipping, AdamW. Ours is measured with one image at a time, as `condetr train` does on a CPU, and with both in
one batch. transformers computes the losses of all layers too, with its stem and first stage frozen as ours are.
Matching and loss: 16 images, 300 queries, 6 layers, 20 objects in each image, forward and backward.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.pairing import HEADER, Work, options, row, seconds
from benchmarks.peers import as_they_take, detector, transformers_of
from condetr.build import build_loss, build_optimizer
from condetr.config import Config
from condetr.engine.optimizer import clip
from condetr.model.detector import Detector
from condetr.types import Images, OptimizerStep, Predictions, Target


def some_targets(images: int, objects: int) -> list[Target]:
    return [Target(torch.randint(1, 90, (objects,)), torch.rand(objects, 4) * 0.4 + 0.3) for _ in range(images)]


def labels(targets: Sequence[Target]) -> list[dict[str, Tensor]]:
    return [{"class_labels": target.labels, "boxes": target.boxes} for target in targets]


def step(ours: Detector, config: Config, parts: list[Images], targets: list[Target]) -> Work:
    """A step over the parts of a batch, one after the other."""
    loss, weights = build_loss(config)
    optimizer = build_optimizer(ours.train(), config.train)
    trained = [p for p in ours.parameters() if p.requires_grad]
    starts = [sum(len(part) for part in parts[:i]) for i in range(len(parts))]

    def work() -> None:
        optimizer.zero_grad(set_to_none=True)
        for start, part in zip(starts, parts):
            own = targets[start : start + len(part)]
            weights.total(loss(ours(part), own, OptimizerStep.of(targets))).backward()
        clip(trained, config.train.clip)
        optimizer.step()

    return work


def their_step(theirs: nn.Module, config: Config, images: Images, targets: list[Target]) -> Work:
    theirs.train()
    for name, parameter in theirs.named_parameters():
        parameter.requires_grad_("backbone" not in name or any(part in name for part in ("layer2", "layer3", "layer4")))
    trained = [p for p in theirs.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=config.train.lr, weight_decay=config.train.weight_decay)
    batch, labelled = as_they_take(images), labels(targets)

    def work() -> None:
        optimizer.zero_grad(set_to_none=True)
        theirs(**batch, labels=labelled).loss.backward()
        nn.utils.clip_grad_norm_(trained, config.train.clip)
        optimizer.step()

    return work


def criteria(theirs: nn.Module, config: Config) -> tuple[Work, Work]:
    layers, images, queries = 6, 16, 300
    logits = torch.randn(layers, images, queries, 91, requires_grad=True)
    boxes = (torch.rand(layers, images, queries, 4) * 0.5 + 0.2).requires_grad_()
    targets = some_targets(images, 20)
    labelled, (loss, weights) = labels(targets), build_loss(config)

    def ours() -> None:
        logits.grad = boxes.grad = None
        weights.total(loss(Predictions(logits, boxes), targets, OptimizerStep.of(targets))).backward()

    def their() -> None:
        logits.grad = boxes.grad = None
        theirs.loss_function(logits[-1], labelled, "cpu", boxes[-1], theirs.config, logits, boxes)[0].backward()

    return ours, their


def main() -> None:
    given = options(__doc__, rounds=5)
    ours, config = detector("conditional_detr_r50")
    theirs = transformers_of(ours, config, supervised=True)
    print(HEADER)
    own, their = criteria(theirs, config)
    time = seconds({"ours": own, "theirs": their}, given.rounds * 4)
    print(row("matching + loss, batch 16", time["ours"] * 1e3, time["theirs"] * 1e3, 0.15), flush=True)
    images, targets = [torch.randn(3, 640, 640) for _ in range(2)], some_targets(2, 7)
    both, apart = Images.pad(images), [Images.pad([image]) for image in images]
    time = seconds(
        {
            "apart": step(ours, config, apart, targets),
            "together": step(ours, config, [both], targets),
            "theirs": their_step(theirs, config, both, targets),
        },
        given.rounds,
    )
    name = "training step, batch 2 at 640"
    print(row(f"{name}, one image at a time", time["apart"] * 1e3, time["theirs"] * 1e3, 0.60))
    print(row(f"{name}, both together", time["together"] * 1e3, time["theirs"] * 1e3, 0.60))


if __name__ == "__main__":
    main()
