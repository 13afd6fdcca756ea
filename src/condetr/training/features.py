"""Features of the frozen backbone, computed once for each variant of a training image and then held in memory.

On a CPU, the backbone takes most of the time of a training step. While it is frozen, an image that is augmented in the
same way has the same features each time. So each image gets a few augmented variants, and the rest of the detector
trains on their features. Features are computed for each image alone and rounded to half precision, so that they depend
neither on the batch, nor on the number of processes, nor on how many of them fit into memory.
"""

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import floor

import torch
from torch import Tensor, nn

from ..build import build_prepare
from ..config import Config
from ..engine.stopwatch import timed
from ..images.batch import Batch, FeatureBatch
from ..images.cache import cache_budget
from ..images.fetch import BatchPlan, fetch
from ..images.loader import Loader
from ..model.backbone import Backbone
from ..runtime.folded import folded_backbone
from ..types import ComputedImages, ObjectCounts, Sample

Features = tuple[Tensor, ...]  # what the backbone returns for a batch of one image

LARGEST_HALF = 65504.0  # the largest finite number in half precision


@dataclass(frozen=True, slots=True)
class FeaturePhase:
    """The first `epochs` of a run, in which the backbone is frozen and `variants` variants of each of `images` images
    are used.

    Their features need about `needed` bytes, of which `budget` may be kept.
    """

    epochs: int
    variants: int
    images: int
    needed: int
    budget: int

    @property
    def computed_epochs(self) -> float:
        """The epochs for whose images features are computed."""
        kept = min(1.0, self.budget / self.needed) if self.needed else 1.0
        return kept * self.variants + (1 - kept) * self.epochs


def feature_phase(
    config: Config, samples: Sequence[Sample], others: Sequence[Sample], backbone: Backbone, device: torch.device,
    shares: int,
) -> FeaturePhase:  # fmt: skip
    """The phase that the config describes, with its share of the memory for caches.

    Decoded images, those of `samples` and `others`, take the rest of it, at most half.
    """
    train, prepare = config.train, build_prepare(config.data)
    epochs = floor(train.epochs * train.feature_epochs + 1e-9)
    if not epochs:
        return FeaturePhase(0, train.feature_variants, len(samples), 0, 0)
    variants = min(epochs, train.feature_variants)
    pixels = sum(width * height for width, height in (prepare.fit(sample.truth.size) for sample in samples))
    needed = int(variants * pixels * bytes_per_pixel(backbone, device))
    decoded = sum(3 * w * h for w, h in (sample.truth.size for sample in (*samples, *others)))
    decoded = 0 if config.data.cache == "none" else decoded
    total = cache_budget(shares)
    return FeaturePhase(epochs, variants, len(samples), needed, max(total // 2, total - decoded))


def bytes_per_pixel(backbone: Backbone, device: torch.device) -> float:
    """Bytes that are kept for each pixel of an image."""
    side = 128
    black = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    batch = Batch(black, ((side, side),), [], [], 0, ObjectCounts((0,)), True)
    return nbytes(features_of(folded_backbone(backbone), batch, device)) / side**2


class FeatureCache:
    """Keeps the features of images until `budget` bytes are used. Nothing is evicted, as in `images.cache`."""

    def __init__(self, budget: int) -> None:
        self.budget, self.used = budget, 0
        self._features: dict[Hashable, Features] = {}

    def __getitem__(self, key: Hashable) -> Features:
        return self._features[key]

    def __contains__(self, key: Hashable) -> bool:
        return key in self._features

    def __len__(self) -> int:
        return len(self._features)

    def keep(self, key: Hashable, features: Features) -> None:
        size = nbytes(features)
        if key not in self._features and self.used + size <= self.budget:
            self.used += size
            self._features[key] = features

    def clear(self) -> None:
        self.used = 0
        self._features.clear()


@dataclass(frozen=True, slots=True)
class FeatureLoader:
    """Batches of features of the loader's images, for epochs in which the backbone is frozen."""

    loader: Loader
    backbone: Backbone
    device: torch.device
    cache: FeatureCache

    def epoch(self, n: int, first_step: int = 0) -> Iterator[FeatureBatch]:
        """This process's batches of epoch n from `first_step` on: the loader's, with features instead of pixels.

        Only images whose features are not in the cache are read. Raises ImageError as the loader does.
        """
        if n and self.loader.mixed(n - 1) != self.loader.mixed(n):
            self.cache.clear()  # no variant with mosaics is used again
        backbone = folded_backbone(self.backbone)
        waiting: deque[BatchPlan] = deque()

        def missing() -> Iterator[BatchPlan]:
            for plan in self.loader.plans(n, first_step):
                waiting.append(plan)
                yield plan.only([i for i, key in enumerate(plan.keys) if key not in self.cache])

        with closing(fetch(missing(), self.loader.read, self.loader.workers)) as batches:  # type: ignore[type-var]
            for batch in batches:
                plan = waiting.popleft()
                new = (features_of(backbone, batch.alone(i), self.device) for i in range(len(batch)))
                features = []
                for key in plan.keys:
                    features.append(self.cache[key] if key in self.cache else next(new))
                    self.cache.keep(key, features[-1])
                yield FeatureBatch(
                    assemble(features, plan.sizes), plan.targets, plan.samples, plan.step, plan.object_counts, plan.last
                )


def computed(backbone: Backbone, batch: Batch, device: torch.device) -> FeatureBatch:
    """A batch with the features of its images, computed now."""
    faster = folded_backbone(backbone)
    features = [features_of(faster, batch.alone(i), device) for i in range(len(batch))]
    return FeatureBatch(
        assemble(features, batch.sizes), batch.targets, batch.samples, batch.step, batch.object_counts, batch.last
    )


@torch.inference_mode()
def features_of(backbone: nn.Module, batch: Batch, device: torch.device) -> Features:
    """What the backbone returns for a batch of one image, on the CPU and in half precision."""
    with timed("backbone"):
        parts: Features = backbone(batch.to(device).images)
        return tuple(_rounded(part).cpu() for part in parts)


def _rounded(part: Tensor) -> Tensor:
    """A tensor in half precision; a mask is returned unchanged."""
    return part.clamp(-LARGEST_HALF, LARGEST_HALF).half() if part.is_floating_point() else part


def assemble(features: Sequence[Features], sizes: Sequence[tuple[int, int]]) -> ComputedImages:
    """A batch of features, in single precision, as a backbone returns them for the padded images of (width, height)
    `sizes`: zero outside each image."""
    width, height = (max(size[side] for size in sizes) for side in (0, 1))
    padding = torch.ones(len(sizes), height, width, dtype=torch.bool)
    for i, (w, h) in enumerate(sizes):
        padding[i, :h, :w] = False
    return ComputedImages.of(
        tuple(_joined(parts) for parts in zip(*features)),
        padding,
        ragged=any(size != (width, height) for size in sizes),
    )


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Tensors (1 … h w) as one tensor (B … H W). Cells outside an image are zero in features, which are in single
    precision, and True in masks of padding."""
    height, width = (max(part.shape[side] for part in parts) for side in (-2, -1))
    shape = (len(parts), *parts[0].shape[1:-2], height, width)
    if parts[0].dtype == torch.bool:
        joined = torch.ones(shape, dtype=torch.bool)
    else:
        joined = torch.zeros(shape).contiguous(memory_format=torch.channels_last)  # as the backbone's
    for i, part in enumerate(parts):
        joined[i : i + 1, ..., : part.shape[-2], : part.shape[-1]] = part
    return joined


def nbytes(features: Features) -> int:
    return sum(part.nbytes for part in features)
