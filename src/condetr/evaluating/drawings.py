"""Images of an evaluation's page, with the missed objects, the false and the correct detections marked on them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..errors import ImageError
from ..images.decode import open_image
from ..metrics import BoxTable
from ..plural import counted
from ..reports.overlay import Layer, Mark, MarkedImage
from ..types import Categories, Sample
from .outcomes import ImageOutcomes, image_outcomes

MISSED = Layer("missed", "missed objects", (255, 205, 40), dashed=True)
FALSE = Layer("false", "false detections", (240, 70, 60))
CORRECT = Layer("correct", "correct detections", (70, 140, 255))
FOUND = Layer("found", "objects found", (255, 255, 255), dashed=True, shown=False)
MOST_NAMED = 4  # classes in a caption
LAYERS = (MISSED, FALSE, CORRECT, FOUND)


def drawings(
    samples: Mapping[int, Sample],
    images: Sequence[int],
    table: BoxTable,
    thresholds: Sequence[float],
    names: Categories,
) -> Iterator[MarkedImage]:  # fmt: skip
    """The images with these ids, each marked when it is taken, so that one image at a time is in memory.

    `samples` go by image id, `thresholds` by label. An image that can no longer be read is skipped.
    """
    for image_id in images:
        path = samples[image_id].path
        try:
            pixels = open_image(path)
        except ImageError:
            continue
        outcomes = image_outcomes(table, image_id, np.array(thresholds))
        yield MarkedImage(pixels, _marks(outcomes, names), f"{path.name}: {_caption(outcomes, names)}")


def _marks(outcomes: ImageOutcomes, names: Categories) -> list[Mark]:
    """The marks, those first whose labels matter most: what was missed, then what was false."""
    objects = [
        Mark(tuple(box), names.name(label), FOUND if found else MISSED, "found" if found else "missed")
        for box, label, found in zip(
            outcomes.object_boxes.tolist(), outcomes.object_labels.tolist(), outcomes.found.tolist()
        )
    ]
    detections = [
        Mark(tuple(box), f"{names.name(label)} {score:.2f}", CORRECT if correct else FALSE,
             "correct" if correct else "no object of this class matches it")
        for box, label, score, correct in zip(
            outcomes.boxes.tolist(), outcomes.labels.tolist(), outcomes.scores.tolist(), outcomes.correct.tolist()
        )
    ]  # fmt: skip
    return sorted([*objects, *detections], key=lambda mark: LAYERS.index(mark.layer))


def _caption(outcomes: ImageOutcomes, names: Categories) -> str:
    correct = int(outcomes.correct.sum())
    false = _counted(outcomes.labels[~outcomes.correct], names)
    missed = _counted(outcomes.object_labels[~outcomes.found], names)
    return f"{correct} correct; missed {missed}; false {false}"


def _counted(labels: np.ndarray, names: Categories) -> str:
    """`RBC ×5, WBC`, or `none`."""
    counts = Counter(names.name(label) for label in labels.tolist()).most_common()
    shown = [name if count == 1 else f"{name} ×{count}" for name, count in counts[:MOST_NAMED]]
    rest = sum(count for _, count in counts[MOST_NAMED:])
    return ", ".join(shown + [counted(rest, "other")] * (rest > 0)) or "none"
