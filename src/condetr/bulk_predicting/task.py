"""What each worker process of a bulk run does: load the detector once, then turn shards of images into rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..detections import Detections
from ..errors import CondetrError, ImageError, first_line
from ..predicting.execution import Precision
from ..predicting.predictor import Predictor
from ..predicting.selection import Nms, Selection, Threshold
from ..predicting.tiling import Tiling
from ..predicting.with_hash import load_with_hash
from . import rows
from .images import Image
from .stores import Stores


@dataclass(frozen=True, slots=True)
class Task:
    """Plain values that JSON can represent. `hash` is that of the weights, `sources` are as they were given; the others
    are as for `bulk`."""

    weights: str
    hash: str
    device: str | None
    runtime: str | None
    precision: Precision
    threshold: Threshold
    classes: tuple[str, ...] | None
    max_detections: int | None
    one_class_per_box: bool
    batch: int
    sources: tuple[str, ...]
    threads: int
    nms: Nms = None
    tile: int | None = None
    overlap: float = 0.0

    @property
    def tiling(self) -> Tiling | None:
        return None if self.tile is None else Tiling(self.tile, self.overlap)

    def selection(self, predictor: Predictor) -> Selection:
        """Which detections are kept. Raises CondetrError for options that these weights do not support."""
        classes = None if self.classes is None else list(self.classes)
        return predictor.selection(self.threshold, classes, self.max_detections, self.one_class_per_box)


class Shards:
    """Predicts shards of images with one detector."""

    def __init__(self, task: Task) -> None:
        """Raises CondetrError if the weights cannot be loaded, or differ from those of the plan."""
        torch.set_num_threads(task.threads)
        self.task, self.stores = task, Stores(task.sources)
        self.predictor, found = load_with_hash(
            task.weights, task.device, task.runtime, task.precision, task.tiling, task.nms
        )
        if found != task.hash:
            raise CondetrError(f"{task.weights}: a worker process found other weights under this name")

    def predict(self, images: Sequence[Image]) -> bytes:
        """A Parquet file with one row for each image, in their order."""
        return rows.encoded(rows.table(images, self._results(images)))

    def _results(self, images: Sequence[Image]) -> list[Detections | str]:
        """The detections of each image, or the reason why there are none. Images that fail together are tried one by
        one."""
        try:
            return [str(found) if isinstance(found, ImageError) else found for _, found in self._stream(images)]
        except Exception as error:  # too little memory for an image, or an image that triggers a bug of a library
            if len(images) == 1:
                return [first_line(error)]
            return [result for image in images for result in self._results([image])]

    def _stream(self, images: Sequence[Image]) -> Any:
        task = self.task
        classes = None if task.classes is None else list(task.classes)
        return self.predictor.stream(
            images, task.threshold, task.batch, self._read, classes=classes, max_detections=task.max_detections,
            one_class_per_box=task.one_class_per_box,
        )  # fmt: skip

    def _read(self, image: Image) -> Any:
        return image.read(self.stores)
