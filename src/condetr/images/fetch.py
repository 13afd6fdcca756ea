"""Batches from their plans: images are read and transformed by threads, some ahead of their use."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ImageError
from ..shapes import UInt8
from ..types import ObjectCounts, Sample, Target
from .augment import Pixels, Size
from .batch import Batch
from .cache import Reader
from .training_image import Load


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """A batch before its images are read: `pixels` makes each image, and images with the same of the `keys` are the
    same. The other fields are a `Batch`'s."""

    samples: list[Sample]
    sizes: tuple[Size, ...]
    pixels: tuple[Callable[[Load], Pixels], ...]
    keys: tuple[Hashable, ...]
    targets: list[Target]
    step: int
    object_counts: ObjectCounts
    last: bool

    def only(self, indices: Sequence[int]) -> "BatchPlan":
        """The plan of some of these images, or none."""
        return replace(
            self, samples=[self.samples[i] for i in indices], sizes=tuple(self.sizes[i] for i in indices),
            pixels=tuple(self.pixels[i] for i in indices), keys=tuple(self.keys[i] for i in indices),
            targets=[self.targets[i] for i in indices],
        )  # fmt: skip


def fetch(plans: Iterator[BatchPlan], read: Reader, workers: int) -> Iterator[Batch]:
    """The batches in the order of their plans. `workers` threads read ahead; 0 reads in the calling thread.

    No thread is left behind when the iterator ends, is closed, or raises. Raises ImageError, naming the file, when an
    image cannot be read.
    """
    if not workers:
        for plan in plans:
            pixels = _canvas(plan)
            for i in range(len(plan.samples)):
                _fill(plan, i, pixels, read)
            yield _batch(plan, pixels)
        return
    pool = ThreadPoolExecutor(workers, "condetr-loader", initializer=_one_torch_thread)
    window: deque[tuple[BatchPlan, Tensor, list[Future[None]]]] = deque()
    try:
        while True:
            while sum(len(futures) for *_, futures in window) < 2 * workers or len(window) < 2:
                if (ahead := next(plans, None)) is None:
                    break
                canvas = _canvas(ahead)
                window.append(
                    (ahead, canvas, [pool.submit(_fill, ahead, i, canvas, read) for i in range(len(ahead.samples))])
                )
            if not window:
                return
            plan, pixels, futures = window.popleft()
            for future in futures:
                future.result()
            yield _batch(plan, pixels)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _canvas(plan: BatchPlan) -> UInt8[Tensor, "B H W 3"]:
    width, height = (max((size[side] for size in plan.sizes), default=0) for side in (0, 1))
    return torch.zeros(len(plan.sizes), height, width, 3, dtype=torch.uint8)


def _fill(plan: BatchPlan, i: int, pixels: UInt8[Tensor, "B H W 3"], read: Reader) -> None:
    image = plan.pixels[i](partial(_load, read))
    width, height = plan.sizes[i]
    pixels[i, :height, :width] = torch.from_numpy(image)


def _load(read: Reader, path: Path, transform: Callable[[Pixels], Pixels]) -> Pixels:
    """A transformed image. Raises ImageError with the file's name."""
    try:
        return transform(read(path))
    except ImageError as error:
        raise ImageError(f"{path}: {error}. Run `condetr doctor` on the data again") from None


def _batch(plan: BatchPlan, pixels: UInt8[Tensor, "B H W 3"]) -> Batch:
    return Batch(pixels, plan.sizes, plan.targets, plan.samples, plan.step, plan.object_counts, plan.last)


def _one_torch_thread() -> None:
    """This limits the worker alone: the setting belongs to the calling thread (as in torch's pin-memory thread)."""
    torch.set_num_threads(1)
