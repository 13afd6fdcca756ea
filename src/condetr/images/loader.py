"""Which images form a batch: a function of (seed, epoch, image) alone, whatever the number of workers, processes and
micro-batches, and wherever training resumes."""

from collections.abc import Hashable, Iterator, Sequence
from math import floor

import numpy as np

from ..errors import DataError
from ..plural import counted
from ..types import ObjectCounts, Sample
from .augment import Augmentation, Size
from .batch import Batch
from .cache import Reader
from .color import ColorChange
from .fetch import BatchPlan, fetch
from .mix import Mix
from .training_image import OneImage, Recolored, TrainingImage

ORDER, AUGMENTATION, MIX, COLOR, VARIANT = 0, 1, 2, 3, 4  # independent random streams


class Loader:
    """Training batches.

    An epoch takes every image once, in as few optimizer steps as `batch` (over all processes) allows; the steps have
    nearly equal sizes, so that no small last step has a noisy gradient. A step's images are sorted by shape and cut
    into `world` × `micro_batches` parts, which keeps padding small; process `rank` takes every `world`-th part.
    `workers` threads read and augment ahead (0: nothing is read ahead); Pillow and torch release the GIL meanwhile.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        augmentation: Augmentation,
        seed: int,
        batch: int,
        *,
        epochs: int,
        read: Reader,
        workers: int,
        rank: int = 0,
        world: int = 1,
        micro_batches: int = 1,
        variants: int = 0,
        variant_epochs: int = 0,
    ) -> None:
        """`epochs` are those of the whole run. In the first `variant_epochs` of them, only `variants` variants of each
        image are used. Raises DataError when there are no images, or fewer than processes."""
        self.samples = sorted(samples, key=lambda sample: (sample.truth.image_id, sample.path.name))
        self.augment, self.color = augmentation.augment, augmentation.color
        self.mix = Mix(self.samples, augmentation)
        self.mixed_epochs = floor(epochs * augmentation.close_at + 1e-9)
        self.seed, self.read, self.workers = seed, read, workers
        self.rank, self.world, self.micro_batches = rank, world, micro_batches
        self.variants, self.variant_epochs = variants, variant_epochs
        if not samples:
            raise DataError("there are no images to train on")
        if len(samples) < world:
            raise DataError(f"{counted(len(samples), 'image')}: too few for {world} processes. Start fewer processes")
        self.steps = min(-(-len(samples) // batch), len(samples) // world)  # each process has an image in each step

    def __len__(self) -> int:
        """Optimizer steps in an epoch."""
        return self.steps

    def epoch(self, n: int, first_step: int = 0) -> Iterator[Batch]:
        """This process's batches of epoch n from `first_step` on, at most `micro_batches` for each optimizer step.

        Raises ImageError, naming the file, when an image cannot be read.
        """
        return fetch(self.plans(n, first_step), self.read, self.workers)

    def plans(self, n: int, first_step: int) -> Iterator[BatchPlan]:
        total = len(self.samples)
        shuffled = np.random.default_rng([self.seed, n, ORDER]).permutation(total)
        for step in range(first_step, self.steps):
            chosen = shuffled[step * total // self.steps : (step + 1) * total // self.steps]
            planned = [(sample, self.image(n, sample)) for sample in (self.samples[i] for i in chosen)]
            planned.sort(key=lambda pair: _by_shape(pair[1].size))
            object_counts = ObjectCounts(tuple(len(image.boxes()[1]) for _, image in planned))
            parts = self.world * min(self.micro_batches, len(planned) // self.world)  # none of them empty
            for part in range(self.rank, parts, self.world):
                own = planned[part * len(planned) // parts : (part + 1) * len(planned) // parts]
                yield BatchPlan(
                    samples=[sample for sample, _ in own],
                    sizes=tuple(image.size for _, image in own),
                    pixels=tuple(image.pixels for _, image in own),
                    keys=tuple(self.key(n, sample) for sample, _ in own),
                    targets=[image.target() for _, image in own],
                    step=step,
                    object_counts=object_counts,
                    last=part + self.world >= parts,
                )

    def image(self, n: int, sample: Sample) -> TrainingImage:
        """What epoch n makes of an image."""
        variant, mixed = self.variant(n, sample), self.mixed(n)

        def random(stream: int) -> np.random.Generator:
            return self._random(variant, stream, sample)

        one = OneImage(sample, self.augment.plan(sample.truth.size, random(AUGMENTATION)))
        image = self.mix(one, random(MIX)) if mixed else one
        return Recolored(image, ColorChange.draw(self.color, random(COLOR))) if self.color else image

    def key(self, n: int, sample: Sample) -> Hashable:
        """Two epochs that make the same of an image have the same key for it."""
        return sample.truth.image_id, sample.path, self.variant(n, sample), self.mixed(n)

    def mixed(self, n: int) -> bool:
        """Whether epoch n has mosaics or zoomed out images."""
        return n < self.mixed_epochs and self.mix.active

    def variant(self, n: int, sample: Sample) -> int:
        """The epoch whose random numbers epoch n uses for an image: its own, except in the first `variant_epochs`.

        There, the first `variants` epochs come in order; every further `variants` epochs are in a random order, another
        one for each image.
        """
        if n >= self.variant_epochs or n < self.variants:
            return n
        turn, place = divmod(n, self.variants)
        return int(self._random(turn, VARIANT, sample).permutation(self.variants)[place])

    def _random(self, n: int, stream: int, sample: Sample) -> np.random.Generator:
        return np.random.default_rng([self.seed, n, stream, sample.truth.image_id % 2**64])


def _by_shape(size: Size) -> tuple[bool, int, int]:
    """Portrait and landscape images apart, then by area."""
    width, height = size
    return width > height, width * height, width
