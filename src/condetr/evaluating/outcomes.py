"""Which detections are correct and which objects are found, at the confidence thresholds of the classes."""

from dataclasses import dataclass

import numpy as np

from ..metrics import BoxTable
from ..metrics.matching import Matches, match
from ..shapes import Bool, Float64, Int64


@dataclass(frozen=True, slots=True)
class OperatingCounts:
    """The outcomes at some confidence thresholds, IoU 0.5: objects found, detections that are false, objects missed."""

    found: int
    false: int
    missed: int

    @property
    def precision(self) -> float | None:
        """None where nothing is detected."""
        return self.found / (self.found + self.false) if self.found + self.false else None

    @property
    def recall(self) -> float:
        return self.found / (self.found + self.missed)


@dataclass(frozen=True, slots=True)
class ImageOutcomes:
    """The detections of an image that reach the threshold of their class, best score first, and its objects.

    Boxes are xyxy. `correct`: the detection matches an object at IoU 0.5; detections in crowd regions, which count
    neither way, are left out. `found`: the object is matched. Crowd regions are left out of the objects.
    """

    boxes: Float64[np.ndarray, "D 4"]
    labels: Int64[np.ndarray, " D"]
    scores: Float64[np.ndarray, " D"]
    correct: Bool[np.ndarray, " D"]
    object_boxes: Float64[np.ndarray, "M 4"]
    object_labels: Int64[np.ndarray, " M"]
    found: Bool[np.ndarray, " M"]


def operating_counts(table: BoxTable, matches: Matches, thresholds: Float64[np.ndarray, " K"]) -> OperatingCounts:
    """The outcomes of all images at one confidence threshold for each label. The table has an object."""
    confident = (matches.score >= thresholds[matches.label]) & ~matches.ignored[0]
    found = int((confident & matches.correct[0]).sum())
    return OperatingCounts(found, int(confident.sum()) - found, int(table.is_object.sum()) - found)


def image_outcomes(table: BoxTable, image_id: int, thresholds: Float64[np.ndarray, " K"]) -> ImageOutcomes:
    """The outcomes of one image."""
    one = table.select(np.flatnonzero(table.image_ids == image_id))
    matches = match(one, len(thresholds))
    entries = np.flatnonzero((matches.score >= thresholds[matches.label]) & ~matches.ignored[0])
    entries = entries[np.argsort(-matches.score[entries], kind="stable")]
    found = np.zeros(len(one.truth_image), bool)
    matched = matches.matched[entries]
    found[matched[matched >= 0]] = True
    return ImageOutcomes(
        boxes=_xyxy(one.detected_box[matches.row[entries]]),
        labels=matches.label[entries],
        scores=matches.score[entries],
        correct=matches.correct[0, entries],
        object_boxes=_xyxy(one.truth_box[one.is_object]),
        object_labels=one.truth_label[one.is_object],
        found=found[one.is_object],
    )


def _xyxy(boxes: Float64[np.ndarray, "M 4"]) -> Float64[np.ndarray, "M 4"]:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
