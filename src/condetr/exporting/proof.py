"""The proof that an exported file returns the detections of its weights, for each image, and AP on labelled data."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..build import build_prepare
from ..checkpoint import Weights
from ..datasets.open import open_dataset, whole
from ..errors import CondetrError, DataError
from ..evaluating.evaluate import evaluate
from ..evaluating.evaluation import Evaluation
from ..files import quoted
from ..images.decode import Pixels, open_image
from ..predicting.exported import Exported, just_written, original_of
from ..predicting.predictor import Predictor
from ..runtime.agreement import EXACT, ROUNDED, Difference, Tolerance, difference_from_whole, example_images, worst
from ..types import Categories

IMAGES = 16  # of the data that are compared one by one
MAX_DROP = {"fp32": 0.001, "fp16": 0.001, "int8": 0.005}  # of AP
TOLERANCES = {"fp32": EXACT, "fp16": ROUNDED, "int8": None}  # None: AP decides
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
class Attempt:
    """The parts of the model that were quantised, and the AP of the file."""

    parts: tuple[str, ...]
    ap: float

    def __str__(self) -> str:
        return f"{self.ap:.4f} with {' and '.join(self.parts)} in int8"


@dataclass(frozen=True, slots=True)
class Proof:
    """How far the file's detections are from those of its weights.

    `tolerance` is None where AP alone decides, as in int8; `accuracy` is None without labelled data. `attempts` are
    those in int8, of which the last one is the file.
    """

    tolerance: Tolerance | None
    alone: tuple[Difference, ...]
    batched: tuple[Difference, ...]
    accuracy: Accuracy | None
    max_drop: float
    attempts: tuple[Attempt, ...] = ()

    @property
    def differences(self) -> tuple[Difference, ...]:
        return self.alone + self.batched

    def failure(self) -> str | None:
        """Why the file is refused, with the images that differ most; None for a file that is accepted."""
        tolerance = self.tolerance
        found = [] if tolerance is None else [one for one in self.differences if not one.within(tolerance)]
        if found:
            named = "; ".join(str(one) for one in worst(found)[:3])
            return f"{len(found)} of {len(self.differences)} comparisons differ from the weights: {named}"
        if self.accuracy is not None and not self.accuracy.drop <= self.max_drop:
            moved = "; ".join(str(one) for one in worst(self.differences)[:3])
            after = " and ".join(map(str, self.attempts)) or f"{self.accuracy.exported:.4f}"
            fall = f"AP falls from {self.accuracy.weights:.4f} to {after}"
            return f"{fall}, by more than {self.max_drop:g}; moved most: {moved}"
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "accepted": self.failure() is None,
            "tolerance": None if self.tolerance is None else asdict(self.tolerance),
            "each image alone": [asdict(one) for one in self.alone],
            "all images in one batch": [asdict(one) for one in self.batched],
            "AP": None if self.accuracy is None else asdict(self.accuracy) | {"drop": self.accuracy.drop},
            "max_drop": self.max_drop,
            "int8": [asdict(one) for one in self.attempts],
        }


@dataclass(frozen=True, slots=True)
class Original:
    """What exported files are compared with: the detector that they were exported from, and its AP on labelled data.

    `images` are those whose detections are compared one by one.
    """

    weights: Weights
    images: Mapping[str, Pixels]
    evaluation: Evaluation | None
    data: Path | None
    follow_outside: bool
    progress: Progress | None

    @classmethod
    def of(
        cls, weights: Weights, data: Path | None, split: str | None, follow_outside: bool, progress: Progress | None
    ) -> "Original":
        """Evaluates the weights on a split of the data. Without data, the images are the package's photographs. Raises
        DataError for data that cannot be evaluated."""
        if data is None:
            return cls(weights, example_images(), None, None, follow_outside, progress)
        evaluation = evaluate(Predictor(weights), data, split=split, follow_outside=follow_outside, progress=progress)
        images = _first_images(evaluation)
        if not images:
            raise DataError(
                f"{data}: no image of '{evaluation.split.name}' can be read. `condetr doctor {quoted(data)}` gives the "
                "reasons"
            )
        return cls(weights, images, evaluation, data, follow_outside, progress)

    def prove(self, file: Path, max_drop: float, quantised: tuple[str, ...] = ()) -> Proof:
        """Compare a file with the weights. `quantised` are its parts in int8."""
        exported = just_written(file)
        tolerance = TOLERANCES[exported.runtime.facts.precision]
        accuracy = self._accuracy(exported)
        attempts = (Attempt(quantised, accuracy.exported),) if quantised and accuracy is not None else ()
        alone, batched = compare(self.weights, exported, self.images, tolerance or ROUNDED)
        return Proof(tolerance, alone, batched, accuracy, max_drop, attempts)

    def _accuracy(self, exported: Exported) -> Accuracy | None:
        if self.evaluation is None or self.data is None:
            return None
        before = self.evaluation
        after = evaluate(
            Predictor(exported), self.data, split=before.split.name, follow_outside=self.follow_outside,
            progress=self.progress,
        )  # fmt: skip
        return Accuracy(str(self.data), before.split.name, len(before.split), before.ap, after.ap)


def split_to_compare(data: Path, precision: str, follow_outside: bool) -> str:
    """The split of the data on which AP is compared: `valid`, or `test` where there is none. Raises DataError for data
    without them, or without the split that int8 is calibrated on."""
    names = {split.name for split in open_dataset(data, follow_outside=follow_outside).splits}
    there = f"There are: {', '.join(sorted(names)) or 'none'}"
    if "train" not in names and precision == "int8":
        way_out = whole(data) or ". Give the data that the weights were trained on"
        raise DataError(f"{data}: no split 'train' to calibrate int8 on. {there}{way_out}")
    split = next((name for name in ("valid", "test") if name in names), None)
    if split is None:
        raise DataError(f"{data}: neither 'valid' nor 'test' to compare AP on. {there}{whole(data)}")
    return split


def compare(
    weights: Weights, exported: Exported, images: Mapping[str, Pixels], tolerance: Tolerance
) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
    """The differences of every image alone, and those of the first four in one batch, where the file takes batches of
    different sizes."""
    prepare = build_prepare(weights.config.data)
    sizes = [(image.shape[1], image.shape[0]) for image in images.values()]
    scaled = [prepare.scale(image) for image in images.values()]
    categories: Categories = weights.categories
    limit = exported.runtime.most
    whole = original_of(weights).detect(scaled, sizes, categories, None)
    alone = exported.runtime.detect(scaled, sizes, categories, limit)
    few = 4 if exported.runtime.facts.ragged else 0
    batched = exported.runtime.detect_padded(scaled[:few], sizes[:few], categories) if few else []
    return (
        tuple(difference_from_whole(name, a, b, limit, tolerance) for name, a, b in zip(images, whole, alone)),
        tuple(difference_from_whole(name, a, b, limit, tolerance) for name, a, b in zip(images, whole, batched)),
    )


def _first_images(evaluation: Evaluation) -> dict[str, Pixels]:
    images: dict[str, Pixels] = {}
    for sample in evaluation.split:
        if len(images) == IMAGES:
            break
        try:
            images[sample.path.name] = open_image(sample.path)
        except CondetrError:  # evaluation has reported it
            continue
    return images
