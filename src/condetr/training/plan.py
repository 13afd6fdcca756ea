"""What a training is about to do, in numbers, before its first step."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import torch
from torch import Tensor, nn

from ..build import build_detector, build_learner, build_loss
from ..config import Config
from ..datasets.dataset import DataSet
from ..engine.memory import resident_memory
from ..types import Images, ObjectCounts, Target


@dataclass(frozen=True, slots=True)
class Plan:
    """`parts` is (images at a time, accumulated, processes); `memory` in bytes and `seconds` are estimates."""

    recipe: str
    images: dict[str, int]
    objects: int
    classes: tuple[str, ...]
    epochs: int
    steps: int
    parameters: int
    learning: int
    parts: tuple[int, int, int]
    batch: int
    lr: float
    backbone_lr: float
    drop_epoch: int
    device: str
    precision: str
    memory: int
    seconds: float | None
    out: Path
    notes: tuple[str, ...]

    def lines(self) -> list[tuple[str, str]]:
        """The plan as (what, how much) pairs, for people."""
        at_a_time, accumulated, world = self.parts
        processes = counted(world, "process")
        classes = ", ".join(self.classes[:8]) + (" …" if len(self.classes) > 8 else "")
        images = ", ".join(f"{count} {name}" for name, count in self.images.items())
        rates = f"{self.lr:g}, backbone {self.backbone_lr:g}, a tenth from epoch {self.drop_epoch + 1} on"
        return [
            ("recipe", self.recipe),
            ("images", f"{images}; {counted(self.objects, 'object')} to learn from"),
            ("classes", f"{len(self.classes)}: {classes}"),
            ("steps", f"{counted(self.epochs, 'epoch')} of {self.steps}, {self.epochs * self.steps} in all"),
            ("batch", f"{self.batch}: {at_a_time} at a time, {accumulated} accumulated, {processes}"),
            ("parameters", f"{_count(self.learning)} learn, {_count(self.parameters - self.learning)} are frozen"),
            ("rate", rates if self.drop_epoch < self.epochs else rates.rpartition(",")[0]),
            ("device", f"{self.device}, {self.precision}"),
            ("memory", f"about {self.memory / 2**30:.1f} GiB"),
            ("time", "known after the first steps" if self.seconds is None else f"about {duration(self.seconds)}"),
            ("writes to", str(self.out)),
        ]


def duration(seconds: float) -> str:
    """Seconds in words that a person plans with."""
    minutes, hours = seconds / 60, seconds / 3600
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def counted(number: int, word: str) -> str:
    """The number and the word, in the plural but for one."""
    ending = "" if number == 1 else "es" if word.endswith("s") else "s"
    return f"{number:,} {word}{ending}"


def process_memory(held: int, kept_images: int) -> int:
    """Bytes of the whole process of a run on a CPU, from what a step holds and the decoded images that are kept.

    What the process has by now is in it too, and the step twice: on the way back about as much lies free in pieces
    that glibc keeps (measured, on ResNet-18 and ResNet-50).
    """
    return resident_memory() + 2 * held + kept_images


def held_memory(config: Config, classes: int, at_a_time: int, value_bytes: int) -> int:
    """Bytes that a step needs at its largest: weights, gradients, moments, average, and what the forward pass keeps.

    Nothing is computed: the step is done on the meta device, whose tensors have a shape and no content, and what
    autograd would keep is added up. `value_bytes` is the width of a kept value.
    """
    with torch.device("meta"):
        detector = build_detector(config.model, classes)
        learner = build_learner(detector, build_loss(config)[0], config.train)
    short, longest = round(max(config.data.scales) * config.data.size), round(config.data.longest * config.data.size)
    shape = (at_a_time, min(longest, ceil(short * 4 / 3)), short)  # the usual camera's 4 : 3
    pixels = torch.zeros(at_a_time, 3, *shape[1:], device="meta")
    images = Images(pixels, torch.zeros(shape, dtype=torch.bool, device="meta"), ragged=True)
    empty = Target(torch.zeros(0, dtype=torch.int64, device="meta"), torch.zeros(0, 4, device="meta"))
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        learner(images, [empty] * at_a_time, ObjectCounts((0,) * at_a_time))
    parameters = {p.untyped_storage()._cdata for p in learner.parameters()}
    activations = sum(
        t.untyped_storage().nbytes() * (value_bytes / 4 if t.dtype == torch.float32 else 1)
        for key, t in kept.items()
        if key not in parameters
    )
    learning = count(learner, learning=True)
    average = count(detector) if config.train.ema else 0
    return int(activations + 4 * (count(learner) + 3 * learning + average))


def count(module: nn.Module, learning: bool = False) -> int:
    """Parameters of a module: all, or those that learn."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not learning)


def images(dataset: DataSet) -> dict[str, int]:
    return {name: len(split) for name, split in dataset.splits.items()}


def objects(samples: Sequence) -> int:
    return sum(int((~sample.truth.crowd).sum()) for sample in samples)


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:.1f} M" if parameters >= 1e5 else f"{parameters / 1e3:.0f} k"
