"""The values that cross module borders. Axes: B images, N queries, C logits, K classes, M objects, S decoder layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import CondetrError
from .shapes import Bool, Float, Int


@dataclass(frozen=True, slots=True)
class Images:
    """A padded batch, normalised, zero outside each image; `padding` is True there.

    `ragged=False` promises that nothing is padded. It is known on the host when the batch is made, so that layers can
    omit their masks without reading a tensor from the device. It never changes the result.
    """

    pixels: Float[Tensor, "B 3 H W"]
    padding: Bool[Tensor, "B H W"]
    ragged: bool = True

    @property
    def sizes(self) -> Int[Tensor, "B 2"]:
        """(width, height) of each image in pixels, without padding."""
        inside = ~self.padding
        return torch.stack([inside[:, 0].sum(1), inside[:, :, 0].sum(1)], dim=1)

    @classmethod
    def pad(cls, images: Sequence[Float[Tensor, "3 _h _w"]]) -> "Images":
        """A batch of images of any sizes, each in the top left corner, as high and wide as the largest of them."""
        height, width = (max(p.shape[side] for p in images) for side in (1, 2))
        pixels = images[0].new_zeros(len(images), 3, height, width)
        padding = torch.ones(len(images), height, width, dtype=torch.bool, device=pixels.device)
        for i, image in enumerate(images):
            h, w = image.shape[1:]
            pixels[i, :, :h, :w] = image
            padding[i, :h, :w] = False
        return cls(pixels, padding, ragged=any(p.shape[1:] != (height, width) for p in images))

    def to(self, device: torch.device | str) -> "Images":
        return Images(
            self.pixels.to(device, non_blocking=True), self.padding.to(device, non_blocking=True), self.ragged
        )

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedImages(Images):
    """Images whose `features` are known: the tuple of tensors that the backbone returns for them. Their pixels are not
    needed, and may be anything of the batch's shape."""

    features: tuple[Tensor, ...]

    @classmethod
    def of(cls, features: tuple[Tensor, ...], padding: Bool[Tensor, "B H W"], ragged: bool) -> "ComputedImages":
        """Pixels are a zero that takes no memory."""
        batch, height, width = padding.shape
        pixels = torch.zeros(1, device=padding.device).expand(batch, 3, height, width)
        return cls(pixels=pixels, padding=padding, ragged=ragged, features=features)

    def to(self, device: torch.device | str) -> "ComputedImages":
        features = tuple(part.to(device, non_blocking=True) for part in self.features)
        return ComputedImages.of(features, self.padding.to(device, non_blocking=True), self.ragged)


@dataclass(frozen=True, slots=True)
class Target:
    """The objects of one training image; labels index `Categories`, boxes are relative cxcywh."""

    labels: Int[Tensor, " M"]
    boxes: Float[Tensor, "M 4"]

    def to(self, device: torch.device | str) -> "Target":
        return Target(self.labels.to(device, non_blocking=True), self.boxes.to(device, non_blocking=True))


@dataclass(frozen=True, slots=True)
class ObjectCounts:
    """The number of objects of each image in one optimizer step, over all its processes and micro-batches.

    The losses are divided by these, so that the gradient of a step does not depend on how it is split.
    """

    counts: tuple[int, ...]

    @classmethod
    def of(cls, targets: Sequence[Target]) -> "ObjectCounts":
        """The counts of a step that is one batch in one process."""
        return cls(tuple(len(target.labels) for target in targets))

    @property
    def objects(self) -> int:
        """The number of objects, at least 1: losses are divided by it, also in a step without objects."""
        return max(1, sum(self.counts))

    def matched(self, queries: int) -> int:
        """The number of matched queries when each image has `queries` of them."""
        return sum(min(count, queries) for count in self.counts)


@dataclass(frozen=True, slots=True)
class OptimizerStep:
    """What a loss depends on besides predictions and targets: the step of the run that its images are a part of.

    `progress` is the share of the run's steps that were taken before this one, from 0 to 1.
    """

    object_counts: ObjectCounts
    progress: float

    @classmethod
    def of(cls, targets: Sequence[Target], progress: float = 1.0) -> "OptimizerStep":
        """A step that is one batch in one process; at the end of the run, unless stated."""
        return cls(ObjectCounts.of(targets), progress)


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions of each decoder layer. The last layer's are used, the others are supervised too.

    Boxes are cxcywh, relative to each unpadded image.
    """

    logits: Float[Tensor, "S B N C"]
    boxes: Float[Tensor, "S B N 4"]


@dataclass(frozen=True)
class Categories:
    """The classes of one set of weights: label (index 0..K-1) ↔ category id (the data set's number) ↔ name.

    COCO's ids have gaps, and heads trained on them have a logit for each id. The slot of a gap has the name None: it is
    kept, so that published weights keep their shape, and it is never predicted.
    """

    ids: tuple[int, ...]
    names: tuple[str | None, ...]

    def __post_init__(self) -> None:
        if not (isinstance(self.ids, tuple) and all(type(id) is int for id in self.ids)):
            raise CondetrError("categories: ids must be a tuple of whole numbers")
        if not (isinstance(self.names, tuple) and all(name is None or isinstance(name, str) for name in self.names)):
            raise CondetrError("categories: names must be a tuple of text; None is a number without a class")
        if len(self.ids) != len(self.names):
            raise CondetrError(f"categories: {len(self.ids)} ids but {len(self.names)} names")
        if len(set(self.ids)) != len(self.ids):
            raise CondetrError(f"categories: the same id twice in {self.ids}")

    @classmethod
    def read(cls, ids: Any, names: Any) -> "Categories":
        """From values of a JSON file. Raises CondetrError where they are not whole numbers and names of categories."""
        if not (isinstance(ids, list) and all(type(id) is int for id in ids)):
            raise CondetrError("categories: ids must be whole numbers")
        if not (isinstance(names, list) and all(name is None or isinstance(name, str) for name in names)):
            raise CondetrError("categories: names must be text or null")
        categories = cls(tuple(ids), tuple(names))
        if not categories.real:
            raise CondetrError("categories: none of them has a name")
        return categories

    def thresholds(self, values: Any) -> tuple[float, ...] | None:
        """The confidence threshold of each label, from values of a JSON file, in which null means that there are none.

        Raises CondetrError where they are not one number from 0 to 1 for each label.
        """
        if values is None:
            return None
        if not isinstance(values, list):
            raise CondetrError("thresholds must be a list of numbers, or null")
        if len(values) != len(self):
            raise CondetrError(f"{len(values)} thresholds for {len(self)} categories")
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise CondetrError(f"thresholds must be numbers from 0 to 1, not {str(value)[:20]}")
        return tuple(map(float, values))

    def __len__(self) -> int:
        """The number of labels K, gaps included."""
        return len(self.ids)

    @cached_property
    def label_of(self) -> dict[int, int]:
        """Category id → label, real classes only."""
        return {id: label for label, (id, name) in enumerate(zip(self.ids, self.names)) if name is not None}

    @cached_property
    def real(self) -> tuple[int, ...]:
        """The labels that are classes, without gaps."""
        return tuple(label for label, name in enumerate(self.names) if name is not None)

    def name(self, label: int) -> str:
        return self.names[label] or f"category {self.ids[label]}"


@dataclass(frozen=True, slots=True)
class Truth:
    """The ground truth of one image, after its EXIF orientation has been applied.

    `boxes` are xyxy in pixels, `size` is (width, height). A `crowd` region is one box around many objects: training
    leaves it out, and evaluation ignores detections inside it. `areas` are the data set's own, in square pixels; COCO
    divides objects into small, medium and large by them.
    """

    image_id: int
    size: tuple[int, int]
    boxes: Float[np.ndarray, "M 4"]
    labels: Int[np.ndarray, " M"]
    crowd: Bool[np.ndarray, " M"]
    areas: Float[np.ndarray, " M"]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and its ground truth. `key` is the image's id as its labels write it, a number or a word."""

    path: Path
    truth: Truth
    key: int | str
