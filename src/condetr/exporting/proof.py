"""The proof that an exported file returns the detections of its weights, for each image, and AP on labelled data."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..checkpoint import Weights
from ..datasets.open import open_dataset
from ..decoding import MAX_DETECTIONS
from ..errors import CondetrError
from ..evaluating.evaluate import evaluate
from ..images.decode import Pixels, open_image
from ..images.prepare import Prepare
from ..predicting.exported import Exported, just_written, original_of
from ..predicting.predictor import Predictor
from ..runtime.agreement import EXACT, ROUNDED, Difference, Tolerance, difference, example_images, worst
from ..types import Categories

IMAGES = 16  # of the data that are compared one by one
MAX_DROP = {"fp32": 0.001, "fp16": 0.001}  # of AP
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """AP of the weights and of the exported file on a split of `data`."""

    data: str
    split: str
    images: int
    weights: float
    exported: float

    @property
    def drop(self) -> float:
        return self.weights - self.exported


@dataclass(frozen=True, slots=True)
class Proof:
    """How far the file's detections are from those of its weights. `accuracy` is None without labelled data."""

    tolerance: Tolerance
    alone: tuple[Difference, ...]
    batched: tuple[Difference, ...]
    accuracy: Accuracy | None
    max_drop: float

    @property
    def differences(self) -> tuple[Difference, ...]:
        return self.alone + self.batched

    def failure(self) -> str | None:
        """Why the file is refused, with the images that differ most; None for a file that is accepted."""
        found = [one for one in self.differences if not one.within(self.tolerance)]
        if found:
            named = "; ".join(str(one) for one in worst(found)[:3])
            return f"{len(found)} of {len(self.differences)} comparisons differ from the weights: {named}"
        if self.accuracy is not None and self.accuracy.drop > self.max_drop:
            moved = "; ".join(str(one) for one in worst(self.differences)[:3])
            before, after = self.accuracy.weights, self.accuracy.exported
            return f"AP falls from {before:.4f} to {after:.4f}, by more than {self.max_drop:g}; moved most: {moved}"
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "accepted": self.failure() is None,
            "tolerance": asdict(self.tolerance),
            "each image alone": [asdict(one) for one in self.alone],
            "all images in one batch": [asdict(one) for one in self.batched],
            "AP": None if self.accuracy is None else asdict(self.accuracy) | {"drop": self.accuracy.drop},
            "max_drop": self.max_drop,
        }

    def text(self) -> str:
        return json.dumps(self.to_dict(), indent=1) + "\n"


def prove(
    weights: Weights, file: Path, data: Path | None, max_drop: float, follow_outside: bool, progress: Progress | None
) -> Proof:
    """Compare the file with the detector that it was exported from.

    On images of `valid` (`test` where there is none) of the data, else on the package's photographs. Raises DataError
    for data that cannot be evaluated.
    """
    exported = just_written(file)
    tolerance = EXACT if exported.runtime.facts.precision == "fp32" else ROUNDED
    accuracy, images = None, example_images()
    if data is not None:
        accuracy, images = _accuracy(weights, exported, data, follow_outside, progress)
    alone, batched = compare(weights, exported, images, tolerance)
    return Proof(tolerance, alone, batched, accuracy, max_drop)


def compare(
    weights: Weights, exported: Exported, images: Mapping[str, Pixels], tolerance: Tolerance
) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
    """The differences of every image alone, and those of the first four in one batch, where the file takes batches of
    different sizes."""
    prepare = Prepare.of(weights.config.data)
    sizes = [(image.shape[1], image.shape[0]) for image in images.values()]
    scaled = [prepare.scale(image) for image in images.values()]
    categories: Categories = weights.categories
    expected = original_of(weights).detect(scaled, sizes, categories, MAX_DETECTIONS)
    alone = exported.runtime.detect(scaled, sizes, categories, MAX_DETECTIONS)
    few = 4 if exported.runtime.facts.ragged else 0
    batched = exported.runtime.detect_padded(scaled[:few], sizes[:few], categories) if few else []
    return (
        tuple(difference(name, a, b, tolerance) for name, a, b in zip(images, expected, alone)),
        tuple(difference(name, a, b, tolerance) for name, a, b in zip(images, expected, batched)),
    )


def _accuracy(
    weights: Weights, exported: Exported, data: Path, follow_outside: bool, progress: Progress | None
) -> tuple[Accuracy, dict[str, Pixels]]:
    names = {split.name for split in open_dataset(data, follow_outside=follow_outside).splits}
    split = "valid" if "valid" in names else None
    before, after = (
        evaluate(Predictor(one), data, split=split, follow_outside=follow_outside, progress=progress)
        for one in (weights, exported)
    )
    images: dict[str, Pixels] = {}
    for sample in before.split:
        if len(images) == IMAGES:
            break
        try:
            images[sample.path.name] = open_image(sample.path)
        except CondetrError:  # evaluation has reported it
            continue
    return Accuracy(str(data), before.split.name, len(before.split), before.ap, after.ap), images
