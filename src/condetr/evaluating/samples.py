"""Predict the images of a split and collect their detections and ground truth, in one process or in several."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from ..detections import Detections
from ..engine.distributed import SINGLE, Processes
from ..errors import ImageError
from ..images.decode import Pixels, open_image
from ..metrics import BoxTable, Evaluator
from ..types import Categories, Sample

Progress = Callable[[int, int], None]  # images done, images in all


@runtime_checkable
class Predicting(Protocol):
    """What can be evaluated: `condetr.Predictor`, or any object with these two members."""

    categories: Categories

    def stream(
        self, sources: Iterable[Sample], threshold: float, batch: int, read: Callable[[Sample], Any]
    ) -> Iterator[tuple[Sample, Detections | ImageError]]: ...


def evaluate_samples(
    predictor: Predicting,
    samples: Iterable[Sample],
    categories: Categories,
    batch: int = 8,
    processes: Processes = SINGLE,
    device: torch.device = torch.device("cpu"),  # noqa: B008
    progress: Progress | None = None,
    unread: list[str] | None = None,
    read: Callable[[Path], Pixels] = open_image,
) -> Evaluator:
    """Predict all images, each in one of the processes. In every process the returned evaluator has all images.

    `categories` are the data set's; `device` is where the processes exchange their results. An image that cannot be
    read is left out, and `unread`, which is empty before, has the reasons afterwards, in every process.
    """
    evaluator = Evaluator(categories)
    own = list(samples)[processes.rank :: processes.world]
    stream = predictor.stream(own, 0.0, batch, lambda sample: read(sample.path))
    for number, (sample, detections) in enumerate(stream, start=1):
        if isinstance(detections, ImageError):
            if unread is not None:
                unread.append(f"{sample.path.name}: {detections}")
        else:
            evaluator.add(sample.truth, detections)
        if progress is not None:
            progress(number, len(own))
    if unread is not None:
        unread[:] = processes.gather_texts(unread, device)
    parts = processes.gather(evaluator.table().packed(), device)
    return Evaluator.of_tables([BoxTable.unpacked(part) for part in parts], categories)
