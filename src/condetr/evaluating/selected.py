"""A predictor with the number of detections that an evaluation asks it for, and what that number leaves out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..detections import Detections
from ..errors import ImageError
from ..metrics.coco import MAX_DETECTIONS
from ..plural import counted
from ..predicting.predictor import Predictor
from ..types import Categories, Sample, Truth


class Selected:
    """`max_detections` are returned of each image; None: the predictor's default."""

    def __init__(self, predictor: Predictor, max_detections: int | None) -> None:
        self.predictor, self.max_detections = predictor, max_detections
        self.categories: Categories = predictor.categories

    def stream(
        self, sources: Iterable[Sample], threshold: float, batch: int, read: Callable[[Sample], Any]
    ) -> Iterator[tuple[Sample, Detections | ImageError]]:
        return self.predictor.stream(sources, threshold, batch, read, max_detections=self.max_detections)

    def warnings(self, truths: Sequence[Truth]) -> list[str]:
        """A line for images with more objects than are returned, and one for those with more than COCO's metrics
        count."""
        selection = self.predictor.selection(0.0, most=self.max_detections)
        limits = [selection.most(truth.size) for truth in truths]
        above = [limit for truth, limit in zip(truths, limits) if limit is not None and len(truth) > limit]
        dense = sum(int(np.bincount(truth.labels, minlength=1).max()) > MAX_DETECTIONS for truth in truths)
        if above:
            return [
                f"{counted(len(above), 'image')} with more than {above[0]} objects, but only the {above[0]} best "
                "detections of an image are scored: `max_detections=N` scores more"
            ]
        if dense:
            return [
                f"{counted(dense, 'image')} with more than {MAX_DETECTIONS} objects of a class, but COCO's metrics "
                f"count the {MAX_DETECTIONS} best detections of an image and class: see the numbers without that limit"
            ]
        return []
