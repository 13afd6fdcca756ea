"""Where the batches of an epoch come from: kept features of the frozen backbone in the first epochs, then images."""

from collections.abc import Iterator
from contextlib import closing

from ..build import build_augmentation
from ..config import Config
from ..datasets.dataset import DataSet
from ..engine.distributed import Processes
from ..images.batch import AnyBatch
from ..images.cache import reader
from ..images.loader import Loader
from ..model.backbone import Backbone
from .features import FeatureCache, FeatureLoader, feature_phase
from .machine import Machine


class Batches:
    """This process's batches of a run: `micro_batches` of them, of at most `per_process` images together, are one
    optimizer step. Its length is the number of steps in an epoch."""

    def __init__(
        self, dataset: DataSet, config: Config, machine: Machine, processes: Processes, backbone: Backbone
    ) -> None:
        train, samples = config.train, dataset.split("train").samples
        self.phase = feature_phase(
            config, samples, dataset.split("valid").samples, backbone, machine.device, machine.cache_shares
        )
        self.read = reader(config.data.cache, machine.cache_shares, self.reserved)
        self.per_process = -(-train.batch // processes.world)
        self.micro_batches = -(-self.per_process // machine.micro_batch)
        self.loader = Loader(
            samples, build_augmentation(config.data), train.seed, train.batch, epochs=train.epochs, read=self.read,
            workers=machine.workers, rank=processes.rank, world=processes.world, micro_batches=self.micro_batches,
            variants=self.phase.variants, variant_epochs=self.phase.epochs,
        )  # fmt: skip
        self.features = FeatureLoader(self.loader, backbone, machine.device, FeatureCache(self.phase.budget))

    def __len__(self) -> int:
        return len(self.loader)

    @property
    def reserved(self) -> int:
        """Bytes that features of training images may take."""
        return min(self.phase.needed, self.phase.budget)

    def epoch(self, number: int, first_step: int) -> Iterator[list[AnyBatch]]:
        """The micro-batches of each step of epoch `number`, from `first_step` on. Raises ImageError as the loader."""
        if number < self.phase.epochs:
            batches: Iterator[AnyBatch] = self.features.epoch(number, first_step)
        else:
            self.features.cache.clear()
            batches = self.loader.epoch(number, first_step)
        with closing(batches):  # type: ignore[type-var]
            step: list[AnyBatch] = []
            for batch in batches:
                step.append(batch)
                if batch.last:
                    yield step
                    step = []

    def kind(self, epoch: int) -> str:
        """The kind of an epoch, which takes much the same time as the others of its kind."""
        if epoch >= self.phase.epochs:
            return "on images"
        return "on features that are computed" if epoch < self.phase.variants else "on cached features"
