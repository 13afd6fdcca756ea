"""A batch of images and targets on their way to the detector."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..shapes import UInt8
from ..types import ComputedImages, Images, ObjectCounts, Sample, Target
from .augment import Size
from .prepare import normalised


@dataclass(frozen=True, slots=True)
class Batch:
    """The images that one process passes through the detector at once: bytes, 0 outside each image.

    `step` is the index of the optimizer step in its epoch, and `last` is True for the process's last batch
    of that step. `object_counts` counts the objects of the whole step, over all processes and micro-batches.
    """

    pixels: UInt8[Tensor, "B H W 3"]
    sizes: tuple[Size, ...]  # (width, height) of each image, without padding
    targets: list[Target]
    samples: list[Sample]
    step: int
    object_counts: ObjectCounts
    last: bool

    @property
    def images(self) -> Images:
        """The detector's input, computed on the device of the pixels at every call: move the batch first."""
        return normalised(self.pixels, self.sizes)

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on a device. Bytes are copied: a quarter of the size of normalised pixels."""
        pixels = self.pixels.to(device, non_blocking=True)
        return replace(self, pixels=pixels, targets=[target.to(device) for target in self.targets])

    def part(self, start: int, stop: int) -> "Batch":
        """The images from `start` to `stop`, padded no more than they need."""
        sizes = self.sizes[start:stop]
        width, height = (max(size[side] for size in sizes) for side in (0, 1))
        pixels = self.pixels[start:stop, :height, :width]
        targets, samples = self.targets[start:stop], self.samples[start:stop]
        return replace(self, pixels=pixels, sizes=sizes, targets=targets, samples=samples)

    def few(self, number: int) -> "Batch":
        """The first `number` images, as the only batch of a step."""
        targets = self.targets[:number]
        part = (self.pixels[:number], self.sizes[:number], targets, self.samples[:number])
        return Batch(*part, self.step, ObjectCounts.of(targets), True)

    def alone(self, i: int) -> "Batch":
        """Image i without padding, as the only batch of a step."""
        width, height = self.sizes[i]
        pixels, targets = self.pixels[i : i + 1, :height, :width], self.targets[i : i + 1]
        part = (pixels, self.sizes[i : i + 1], targets, self.samples[i : i + 1])
        return Batch(*part, self.step, ObjectCounts.of(targets), True)

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """A batch of which only the backbone's features are needed. The fields are those of a `Batch`."""

    images: ComputedImages
    targets: list[Target]
    samples: list[Sample]
    step: int
    object_counts: ObjectCounts
    last: bool

    def part(self, start: int, stop: int) -> "FeatureBatch":
        """The images from `start` to `stop`."""
        features, padding = (part[start:stop] for part in self.images.features), self.images.padding[start:stop]
        images = ComputedImages.of(tuple(features), padding, self.images.ragged)
        targets, samples = self.targets[start:stop], self.samples[start:stop]
        return replace(self, images=images, targets=targets, samples=samples)

    def to(self, device: torch.device | str) -> "FeatureBatch":
        return replace(self, images=self.images.to(device), targets=[target.to(device) for target in self.targets])

    def __len__(self) -> int:
        return len(self.images)


AnyBatch = Batch | FeatureBatch


def divided(batch: AnyBatch, most: int) -> Iterator[AnyBatch]:
    """A batch in parts of nearly equal sizes, each of at most `most` images."""
    parts = -(-len(batch) // most)
    for i in range(parts):
        yield batch.part(i * len(batch) // parts, (i + 1) * len(batch) // parts) if parts > 1 else batch
