"""Batches, in an order and with an augmentation that depend on (seed, epoch, image) alone: not on the number of
workers, of processes, of micro-batches, nor on where a run was taken up again."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, ImageError
from ..shapes import UInt8
from ..types import Images, ObjectCounts, Sample, Target
from .augment import Augment, Pixels, Plan, Size
from .cache import Reader
from .prepare import Prepare, standardise

ORDER, AUGMENTATION = 0, 1  # two independent streams of random numbers


@dataclass(frozen=True, slots=True)
class Batch:
    """The images one process takes at a time: bytes, 0 outside each image, until they are on the device.

    `step` is the optimizer step of the epoch that they belong to and `last` says whether they complete this process's
    share of it. `object_counts` counts the objects of the whole step, over all processes and micro-batches.
    """

    pixels: UInt8[Tensor, "B H W 3"]
    sizes: tuple[Size, ...]
    targets: list[Target]
    samples: list[Sample]
    step: int
    object_counts: ObjectCounts
    last: bool

    @property
    def images(self) -> Images:
        """What the detector takes, computed where the pixels are at every call: move the batch first."""
        height, width = self.pixels.shape[1:3]
        pixels = standardise(self.pixels)
        padding = torch.zeros(len(pixels), height, width, dtype=torch.bool, device=pixels.device)
        for i, (w, h) in enumerate(self.sizes):
            pixels[i, :, h:], pixels[i, :, :, w:] = 0, 0
            padding[i, h:], padding[i, :, w:] = True, True
        return Images(pixels, padding, ragged=any(size != (width, height) for size in self.sizes))

    def to(self, device: torch.device | str) -> "Batch":
        """The same on a device. Bytes travel: a quarter of what normalised pixels would take."""
        pixels = self.pixels.to(device, non_blocking=True)
        return replace(self, pixels=pixels, targets=[target.to(device) for target in self.targets])

    def few(self, number: int) -> "Batch":
        """The first images alone, as a step of their own."""
        targets = self.targets[:number]
        part = (self.pixels[:number], self.sizes[:number], targets, self.samples[:number])
        return Batch(*part, self.step, ObjectCounts.of(targets), True)

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True, slots=True)
class Order:
    """A batch before its pixels are there: what will be done to which images."""

    samples: list[Sample]
    sizes: tuple[Size, ...]
    draw: tuple[Callable[[Pixels], Pixels], ...]
    targets: list[Target]
    step: int
    object_counts: ObjectCounts
    last: bool


class Loader:
    """Training batches.

    An epoch takes every image once, in as few optimizer steps as `batch` (over all processes) allows; the steps are
    as even as can be, so none is a small remainder with a noisy gradient. A step's images are sorted by shape and cut
    into `world` × `micro_batches` parts, so that little is padded; process `rank` takes every `world`-th part.
    `workers` threads read and augment ahead (0: nothing runs ahead); Pillow and torch leave Python free meanwhile.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        augment: Augment,
        seed: int,
        batch: int,
        *,
        read: Reader,
        workers: int,
        rank: int = 0,
        world: int = 1,
        micro_batches: int = 1,
    ) -> None:
        """Raises DataError when there are no images, or fewer than processes."""
        self.samples = sorted(samples, key=lambda sample: (sample.truth.image_id, sample.path.name))
        self.augment, self.seed, self.read, self.workers = augment, seed, read, workers
        self.rank, self.world, self.micro_batches = rank, world, micro_batches
        if not samples:
            raise DataError("there are no images to train on")
        if len(samples) < world:
            raise DataError(f"{len(samples)} images are too few for {world} processes. Start fewer processes")
        self.steps = min(-(-len(samples) // batch), len(samples) // world)  # each process has an image in each step

    def __len__(self) -> int:
        """Optimizer steps in an epoch."""
        return self.steps

    def epoch(self, n: int, first_step: int = 0) -> Iterator[Batch]:
        """This process's batches of epoch n, at most `micro_batches` for each optimizer step, from `first_step` on.

        Raises ImageError naming the file when an image cannot be read.
        """
        return fetch(self.orders(n, first_step), self.read, self.workers)

    def orders(self, n: int, first_step: int) -> Iterator[Order]:
        total = len(self.samples)
        shuffled = np.random.default_rng([self.seed, n, ORDER]).permutation(total)
        for step in range(first_step, self.steps):
            chosen = shuffled[step * total // self.steps : (step + 1) * total // self.steps]
            planned = [(sample, self.plan(n, sample)) for sample in (self.samples[i] for i in chosen)]
            planned.sort(key=lambda pair: _by_shape(pair[1].size))
            object_counts = ObjectCounts(tuple(len(plan.boxes(sample.truth)[1]) for sample, plan in planned))
            parts = self.world * min(self.micro_batches, len(planned) // self.world)  # none of them empty
            for part in range(self.rank, parts, self.world):
                mine = planned[part * len(planned) // parts : (part + 1) * len(planned) // parts]
                yield Order(
                    samples=[sample for sample, _ in mine],
                    sizes=tuple(plan.size for _, plan in mine),
                    draw=tuple(plan.image for _, plan in mine),
                    targets=[plan.target(sample.truth) for sample, plan in mine],
                    step=step,
                    object_counts=object_counts,
                    last=part + self.world >= parts,
                )

    def plan(self, n: int, sample: Sample) -> Plan:
        """What epoch n does to an image."""
        key = [self.seed, n, AUGMENTATION, sample.truth.image_id % 2**64]
        return self.augment.plan(sample.truth.size, np.random.default_rng(key))


class EvaluationLoader:
    """Every image once, as `Prepare` makes it, images of similar shape together; process `rank` of `world` takes
    every `world`-th batch. `step` counts the batches of all processes. Crowd regions are no targets."""

    def __init__(
        self,
        samples: Sequence[Sample],
        prepare: Prepare,
        batch: int,
        *,
        read: Reader,
        workers: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.samples = sorted(samples, key=lambda sample: _by_shape(prepare.fit(sample.truth.size)))
        self.prepare, self.batch, self.read, self.workers = prepare, batch, read, workers
        self.rank, self.world = rank, world

    def __iter__(self) -> Iterator[Batch]:
        return fetch(self.orders(), self.read, self.workers)

    def orders(self) -> Iterator[Order]:
        starts = range(self.rank * self.batch, len(self.samples), self.world * self.batch)
        for start in starts:
            mine = self.samples[start : start + self.batch]
            whole = [Plan(s.truth.size, False, s.truth.size, (0, 0, *s.truth.size), s.truth.size) for s in mine]
            targets = [plan.target(sample.truth) for plan, sample in zip(whole, mine)]
            yield Order(
                samples=mine,
                sizes=tuple(self.prepare.fit(sample.truth.size) for sample in mine),
                draw=(self.prepare.scale,) * len(mine),
                targets=targets,
                step=start // self.batch,
                object_counts=ObjectCounts.of(targets),
                last=True,
            )


def fetch(orders: Iterator[Order], read: Reader, workers: int) -> Iterator[Batch]:
    """Make the batches in their order, some images ahead of their use.

    Whatever ends it, an error or a loop that is left, no thread stays behind.
    """
    if not workers:
        for order in orders:
            pixels = _canvas(order)
            for place in range(len(order.samples)):
                _paint(order, place, pixels, read)
            yield _complete(order, pixels)
        return
    pool = ThreadPoolExecutor(workers, "condetr-loader", initializer=_one_thread)
    window: deque[tuple[Order, Tensor, list[Future[None]]]] = deque()
    try:
        while True:
            while sum(len(painting) for *_, painting in window) < 2 * workers or len(window) < 2:
                if (ahead := next(orders, None)) is None:
                    break
                canvas = _canvas(ahead)
                places = range(len(ahead.samples))
                window.append((ahead, canvas, [pool.submit(_paint, ahead, i, canvas, read) for i in places]))
            if not window:
                return
            order, pixels, painting = window.popleft()
            for future in painting:
                future.result()
            yield _complete(order, pixels)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _canvas(order: Order) -> UInt8[Tensor, "B H W 3"]:
    width, height = (max(size[side] for size in order.sizes) for side in (0, 1))
    return torch.zeros(len(order.sizes), height, width, 3, dtype=torch.uint8)


def _paint(order: Order, place: int, pixels: UInt8[Tensor, "B H W 3"], read: Reader) -> None:
    path = order.samples[place].path
    try:
        image = order.draw[place](read(path))
    except ImageError as error:
        raise ImageError(f"{path}: {error}. Run `condetr doctor` on the data again") from None
    width, height = order.sizes[place]
    pixels[place, :height, :width] = torch.from_numpy(image)


def _complete(order: Order, pixels: UInt8[Tensor, "B H W 3"]) -> Batch:
    return Batch(pixels, order.sizes, order.targets, order.samples, order.step, order.object_counts, order.last)


def _by_shape(size: Size) -> tuple[bool, int, int]:
    """Upright and lying images apart, then by area."""
    width, height = size
    return width > height, width * height, width


def _one_thread() -> None:
    """Of torch's own, in this worker alone: the setting is the calling thread's (as in torch's pin-memory thread)."""
    torch.set_num_threads(1)
