"""Batches of images of similar size, which are read ahead in threads and predicted in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
import torch

from ..detections import Detections
from ..engine.memory import is_out_of_memory
from ..engine.processors import cores
from ..errors import CondetrError, ImageError
from ..shapes import UInt8

T = TypeVar("T")

WINDOW = 4  # batches among which images of similar size are searched
WASTE = 1.25  # pixels of a batch divided by those of its images; above, an image waits for a better batch


@dataclass(frozen=True, slots=True)
class Scaled:
    """An image at the detector's input size, and its original (width, height)."""

    image: UInt8[np.ndarray, "_ _ 3"]
    size: tuple[int, int]


Detect = Callable[[list[Scaled]], list[Detections]]


@dataclass(slots=True)
class _Pending(Generic[T]):
    """A source that has been given to the reading threads, and its result once there is one."""

    source: T
    reading: Future[Scaled]
    result: Detections | ImageError | None = None

    def wait(self) -> bool:
        """Wait until the image is read. Returns False if it cannot be read: the error is then the result."""
        try:
            self.reading.result()
        except ImageError as error:
            self.result = error
            return False
        return True

    @property
    def scaled(self) -> Scaled:
        return self.reading.result()


def predict_in_order(
    sources: Iterable[T], read: Callable[[T], Scaled], detect: Detect, batch: int, ahead: int | None = None
) -> Iterator[tuple[T, Detections | ImageError]]:
    """Each source with its detections, in order. `read` runs in threads; at most `ahead` images are read and pending.

    Without `ahead`, this is 5 x batch, and 1 for a batch of one. An image that cannot be read is paired with its
    ImageError.
    """
    ahead = ahead or (1 if batch == 1 else (WINDOW + 1) * batch)
    window = max(batch, ahead - batch)
    pending: deque[_Pending[T]] = deque()
    remaining = iter(sources)
    pool = ThreadPoolExecutor(min(4, cores(), ahead), thread_name_prefix="condetr-read")
    try:
        while True:
            for source in islice(remaining, ahead - len(pending)):
                pending.append(_Pending(source, pool.submit(read, source)))
            if not pending:
                return
            candidates = [one for one in islice(pending, window) if one.result is None]
            _predict([one for one in candidates if one.wait()], detect, batch)
            while pending and pending[0].result is not None:
                done = pending.popleft()
                yield done.source, done.result  # type: ignore[misc]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _predict(candidates: list[_Pending[T]], detect: Detect, batch: int) -> None:
    """Predict the oldest candidate together with those that need little padding in one batch."""
    if not candidates:
        return
    chosen = similar([one.scaled for one in candidates], batch)
    for i, detections in zip(chosen, detect([candidates[i].scaled for i in chosen]), strict=True):
        candidates[i].result = detections


def similar(candidates: Sequence[Scaled], batch: int) -> list[int]:
    """The first candidate and up to batch - 1 others, chosen so that a batch of them needs little padding."""
    shapes = [one.image.shape[:2] for one in candidates]
    distance = [sum(abs(np.log(a / b)) for a, b in zip(shape, shapes[0])) for shape in shapes]
    chosen = [0]
    for i in sorted(range(1, len(candidates)), key=lambda i: distance[i]):
        members = [shapes[j] for j in (*chosen, i)]
        padded = len(members) * max(h for h, _ in members) * max(w for _, w in members)
        if len(chosen) < batch and padded <= WASTE * sum(h * w for h, w in members):
            chosen.append(i)
    return chosen


def within_memory(detect: Detect, scaled: list[Scaled], device: torch.device) -> list[Detections]:
    """`detect` on the whole batch, or on halves of it if the device runs out of memory."""
    try:
        return detect(scaled)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(scaled) == 1:
            other = "" if device.type == "cpu" else ", or use cpu"
            raise CondetrError(f"{device}: out of memory with a single image. Free some memory{other}") from None
    half = len(scaled) // 2
    return within_memory(detect, scaled[:half], device) + within_memory(detect, scaled[half:], device)
