"""The differences between the detections of two runtimes, image by image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources

import numpy as np

from ..decoding import MAX_DETECTIONS
from ..detections import Detections
from ..images.decode import Pixels, open_image
from ..plural import counted
from ..shapes import Float

COUNTED = 0.3  # the score from which the set of detections must be the same
FEWEST = 10  # detections of an image that are compared, however low their scores
MOST = 8  # images that a message names


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest difference of a box, as a fraction of the image side, and of a score; `least` is the score from which
    detections are compared, and the FEWEST best ones always are."""

    box: float
    score: float
    least: float


EXACT = Tolerance(box=1e-4, score=1e-4, least=0.0)
ROUNDED = Tolerance(box=0.02, score=0.05, least=COUNTED)  # weights in half precision or in int8


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one image: the largest difference of a box and of a score between detections of the same object, and how many
    detections have no counterpart."""

    image: str
    box: float
    score: float
    unmatched: int

    def within(self, tolerance: Tolerance) -> bool:
        return not self.unmatched and self.box <= tolerance.box and self.score <= tolerance.score

    def __str__(self) -> str:
        missing = f", {counted(self.unmatched, 'detection')} only in one of them" if self.unmatched else ""
        return f"{self.image} (box {self.box:.2g}, score {self.score:.2g}{missing})"


def difference(image: str, ours: Detections, theirs: Detections, tolerance: Tolerance) -> Difference:
    """Compare the detections of one image, whatever their order: each with the nearest one of the same label.

    Which detections are the last of a list of limited length may depend on rounding, where scores are nearly equal:
    those at the end of the shorter list need no counterpart in it. Of two lists of the same limited length, only the
    scores at the end are compared.
    """
    differences = [_unmatched(a, b, tolerance) for a, b in ((ours, theirs), (theirs, ours))]
    boxes, scores, unmatched = zip(*differences)
    ranked = np.abs(np.sort(ours.scores)[::-1][: len(theirs)] - np.sort(theirs.scores)[::-1][: len(ours)])
    limited = min(len(ours), len(theirs)) >= MAX_DETECTIONS
    missing = abs(len(ours) - len(theirs)) if not (tolerance.least or limited) else 0
    return Difference(image, max(boxes), max(*scores, float(ranked.max(initial=0.0))), max(*unmatched, missing))


def difference_from_whole(
    image: str, whole: Detections, found: Detections, limit: int, tolerance: Tolerance
) -> Difference:
    """Compare the best `limit` detections that were found with all that the detector has: each of them has a
    counterpart, also where scores are nearly equal."""
    one = difference(image, whole, found, tolerance)
    missing = abs(min(limit, len(whole)) - len(found))
    return replace(one, unmatched=max(one.unmatched, missing))


def _unmatched(ours: Detections, theirs: Detections, tolerance: Tolerance) -> tuple[float, float, int]:
    limited = MAX_DETECTIONS <= len(theirs) <= len(ours)
    end = theirs.scores.min() + tolerance.score if limited else -np.inf
    boxes, others = _relative(ours), _relative(theirs)
    box = score = 0.0
    unmatched = 0
    best = np.sort(ours.scores)[::-1][:FEWEST]
    least = min(tolerance.least, float(best[-1])) if len(best) else tolerance.least
    for i in np.flatnonzero((ours.scores >= least) & (ours.scores > end)):
        candidates = np.flatnonzero(theirs.labels == ours.labels[i])
        moved = np.abs(others[candidates] - boxes[i]).max(-1, initial=0.0)
        change = np.abs(theirs.scores[candidates] - ours.scores[i])
        if not (len(candidates) and np.isfinite(moved + change).any()):
            unmatched += 1
            continue
        nearest = np.nanargmin(np.maximum(moved / tolerance.box, change / tolerance.score))
        if moved[nearest] > 0.5 or change[nearest] > 0.5:
            unmatched += 1
        else:
            box, score = max(box, float(moved[nearest])), max(score, float(change[nearest]))
    return box, score, unmatched + int(np.isnan(ours.scores).sum())


def _relative(detections: Detections) -> Float[np.ndarray, "M 4"]:
    width, height = detections.size
    return detections.boxes / np.array([width, height, width, height])


def worst(differences: Sequence[Difference]) -> list[Difference]:
    """The largest differences first."""
    return sorted(differences, key=lambda one: (one.unmatched, max(one.box, one.score)), reverse=True)[:MOST]


def example_images() -> Mapping[str, Pixels]:
    """The package's photographs, and parts of them of other shapes."""
    folder = resources.files("condetr.datasets") / "embedded"
    photos = {name: open_image((folder / name).read_bytes()) for name in ("china.jpg", "flower.jpg", "hopper.jpg")}
    china, flower, hopper = photos.values()
    return photos | {
        "china.jpg, left half": china[:, : china.shape[1] // 2],
        "flower.jpg, upper half": flower[: flower.shape[0] // 2],
        "hopper.jpg, centre": hopper[hopper.shape[0] // 4 : -hopper.shape[0] // 4, hopper.shape[1] // 3 : -7],
    }
