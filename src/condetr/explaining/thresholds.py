"""The confidence threshold of an explanation, and sentences about what it excludes."""

from math import floor
from typing import Literal

from ..detections import Detections
from ..predicting.predictor import Predictor
from ..predicting.selection import DEFAULT_THRESHOLD, Threshold

ResolvedThreshold = float | Literal["best"]

ADVICE = "Lower `threshold`, or explain a point of the image: `at=(X, Y)`"


def resolve(threshold: Threshold, predictor: Predictor) -> ResolvedThreshold:
    """The confidence threshold that None stands for: the weights' own, one for each class, or the default."""
    if threshold is not None:
        return threshold
    return DEFAULT_THRESHOLD if predictor.thresholds is None else "best"


def by_label(threshold: Threshold, predictor: Predictor) -> tuple[float, ...]:
    """The confidence threshold of each label."""
    least = predictor.min_score(threshold)
    return least if isinstance(least, tuple) else (float(least),) * len(predictor.categories)


def threshold_words(threshold: ResolvedThreshold) -> str:
    if threshold == "best":
        return "confidence thresholds stored in the weights, one for each class"
    return f"confidence threshold {float(threshold):g}"


def none_reaches(threshold: ResolvedThreshold) -> str:
    """A clause that says that there is no detection at a confidence threshold."""
    if threshold == "best":
        return "no detection reaches the confidence threshold stored in the weights for its class"
    return f"no detection reaches the confidence threshold {float(threshold):g}"


def no_detection(threshold: ResolvedThreshold, candidates: Detections) -> str:
    """Why an image has no detection. The score is rounded down, so that it never seems to reach the threshold."""
    if not len(candidates):
        return f"{none_reaches(threshold)}; there are no predictions at all"
    score = floor(1000 * float(candidates.scores[0])) / 1000
    return f"{none_reaches(threshold)}; the highest score is {score:.3f} ({candidates.names[0]})"
