"""The time that an epoch of a model takes on this machine, estimated from one step with a few of its images."""

import time
from contextlib import closing

import torch

from ..build import build_augmentation
from ..config import Config, override
from ..datasets.dataset import DataSet
from ..engine.distributed import SINGLE
from ..engine.precision import precision
from ..engine.torch_defaults import torch_defaults
from ..images.cache import reader
from ..images.loader import Loader
from ..training.loop import Loop
from ..training.start import start

IMAGES = 4
EVALUATION_COST = 1 / 3  # of an image, relative to a training step with it


@torch_defaults()
def seconds_per_epoch(dataset: DataSet, config: Config, device: str) -> float:
    """An estimate, evaluations included. The step changes nothing, and no weights are downloaded for it."""
    torch_device = torch.device(device)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        fresh = start(override(config, {"train.init": "none"}), dataset.categories)
        loop = Loop(fresh.detector, config, 1, torch_device, precision(config.train.precision, torch_device), SINGLE)
        train = dataset.split("train").samples
        loader = Loader(
            train, build_augmentation(config.data), config.train.seed, config.train.batch, epochs=config.train.epochs,
            read=reader("none", 1), workers=0,
        )  # fmt: skip
        with closing(loader.epoch(0)) as batches:  # type: ignore[type-var]
            few = next(batches).few(IMAGES)
        loop.dry_run(few.few(1))  # the first step loads kernels
        started = time.monotonic()
        loop.dry_run(few)
        each = (time.monotonic() - started) / len(few)
    return each * (len(train) + len(dataset.split("valid")) * EVALUATION_COST / config.train.evaluate_every)
