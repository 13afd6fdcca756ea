"""Which detections are kept: by confidence threshold, by class, one class for each box, without duplicates, and at
most a number."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..arguments import check_flags, whole_number
from ..class_names import labels_of_names
from ..decoding import MAX_DETECTIONS
from ..detections import Detections
from ..errors import CondetrError
from ..types import Categories
from .tiling import Tiling

DEFAULT_THRESHOLD = 0.5  # if the weights have no thresholds

Threshold = float | Literal["best"] | None
Nms = float | Literal["none"] | None


def parse_threshold(threshold: str | float) -> float | Literal["best"]:
    """A number from 0 to 1, or "best". Raises CondetrError for anything else."""
    return "best" if threshold == "best" else _fraction(threshold, "threshold", "best")


def parse_nms(nms: str | float) -> float | Literal["none"]:
    """A number from 0 to 1, or "none". Raises CondetrError for anything else."""
    return "none" if nms == "none" else _fraction(nms, "nms", "none")


def suppression(nms: Nms, own: float | None) -> float | None:
    """The IoU of non-maximum suppression, or None for no suppression.

    `nms` None means the weights' `own`, "none" no suppression, whatever the weights have.
    """
    if nms is None:
        return own
    iou = parse_nms(nms)
    return None if iou == "none" else iou


def _fraction(value: str | float, name: str, word: str) -> float:
    """The value of the argument `name`, a number from 0 to 1. The error also names the `word` that it may be."""
    as_python = isinstance(value, str) and ("_" in value or not value.isascii())  # 0_1 is 1 for float()
    try:
        number = -1.0 if as_python or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 <= number <= 1:
        raise CondetrError(f"{name} {value}: must be a number between 0 and 1, or {word}")
    return number


def min_score(threshold: Threshold, own: tuple[float, ...] | None) -> float | tuple[float, ...]:
    """The lowest score of a detection, one for all labels or one for each.

    None means the weights' `own` thresholds, else DEFAULT_THRESHOLD; "best" the weights' own, which they must have.
    """
    if threshold is None:
        return DEFAULT_THRESHOLD if own is None else own
    threshold = parse_threshold(threshold)
    if threshold != "best":
        return threshold
    if own is None:
        raise CondetrError("threshold best: these weights have no thresholds. Give a number between 0 and 1")
    return own


@dataclass(frozen=True, slots=True)
class Selection:
    """What is kept of the detections of an image, in this order: the best class of each query, the classes in `labels`,
    scores of at least `min_score`, what non-maximum suppression at the IoU `nms` leaves (None: all), and of those the
    best `max_detections`. None means the best 100, and all of an image that is detected in tiles."""

    min_score: float | tuple[float, ...]
    labels: tuple[int, ...] | None
    max_detections: int | None
    one_class_per_box: bool
    tiling: Tiling | None
    nms: float | None = None

    @classmethod
    def of(
        cls,
        least: float | tuple[float, ...],
        categories: Categories,
        classes: str | Iterable[str] | None = None,
        max_detections: int | None = None,
        one_class_per_box: bool = False,
        tiling: Tiling | None = None,
        nms: float | None = None,
    ) -> "Selection":
        """Raises CondetrError for a class that the weights do not have, or a number below one."""
        if max_detections is not None:
            whole_number(max_detections, "max_detections", 1)
        check_flags(one_class_per_box=one_class_per_box)
        labels = None if classes is None else tuple(labels_of_names(classes, categories))
        if labels == ():
            raise CondetrError("classes: an empty list. Name classes, or None for all of them")
        return cls(least, labels, max_detections, one_class_per_box, tiling, nms)

    @property
    def limit(self) -> int | None:
        """How many (query, class) pairs have to be decoded; None: all, because most may be dropped. Suppression drops
        few of the best ones, so that `MAX_DETECTIONS` are enough for it."""
        most = MAX_DETECTIONS if self.max_detections is None else self.max_detections
        if self.nms is not None:
            most = max(most, MAX_DETECTIONS)
        return most if self.labels is None and not self.one_class_per_box else None

    def most(self, size: tuple[int, int]) -> int | None:
        """The most detections of an image of (width, height); None: all."""
        tiled = self.tiling is not None and bool(self.tiling.tiles(size))
        return self.max_detections or (None if tiled else MAX_DETECTIONS)

    def __call__(self, detections: Detections) -> Detections:
        if self.one_class_per_box:
            detections = detections.best_of_each_query()
        if self.labels is not None:
            detections = detections[np.isin(detections.labels, self.labels)]
        detections = detections.filter(min_score=self.min_score)
        if self.nms is not None:
            detections = detections.suppress(self.nms)
        return detections[: self.most(detections.size)]
