"""How much memory and time a run will need, estimated before its first step."""

import time
from collections.abc import Callable
from contextlib import closing
from math import ceil

import torch
from torch import Tensor, nn

from ..build import build_augmentation, build_detector, build_learner, build_loss
from ..config import Config
from ..datasets.dataset import DataSet
from ..engine.distributed import Processes
from ..engine.memory import resident_memory
from ..images.loader import Loader
from ..plural import counted
from ..types import Images, OptimizerStep, Target
from .features import FeaturePhase, computed
from .loop import Loop
from .machine import Machine

AFFORDABLE = 5.0  # seconds for a dry run on a whole micro-batch
PREDICTION = 1 / 3  # the cost of predicting an image, relative to a training step on it


def run_memory(
    config: Config, dataset: DataSet, machine: Machine, micro_batch: int, value_bytes: int, cache_budget: int
) -> int:
    """Bytes that the run will use: of the process on a CPU, of the device otherwise."""
    step = step_memory(config, len(dataset.categories), micro_batch, value_bytes)
    if machine.device.type != "cpu":
        return step
    samples = [*dataset.split("train").samples, *dataset.split("valid").samples]
    pixels = sum(3 * height * width for height, width in (sample.truth.size for sample in samples))
    return process_memory(step, min(cache_budget, pixels))


def process_memory(step: int, cached_images: int) -> int:
    """Bytes of the whole process on a CPU: what it uses now, a step, and the cached images.

    The step counts twice: in the backward pass glibc keeps about as much in free fragments (measured with ResNet-18
    and ResNet-50).
    """
    return resident_memory() + 2 * step + cached_images


def out_of_memory_note(device: torch.device, images: int) -> str:
    return f"{device}: out of memory; from here on {counted(images, 'image')} at a time, for the same batches"


def step_memory(config: Config, classes: int, micro_batch: int, value_bytes: int) -> int:
    """Peak bytes of a step: weights, gradients, moments, moving average, and the activations kept for backward.

    Nothing is computed: the forward pass runs on the meta device, whose tensors have a shape but no values, and the
    tensors that autograd saves are added up. `value_bytes` is the size of a saved floating-point value.
    """
    with torch.device("meta"):
        detector = build_detector(config.model, classes)
        learner = build_learner(detector, build_loss(config)[0], config.train)
    augment = build_augmentation(config.data).augment
    short = min(max(augment.scales), augment.longest)
    shape = (micro_batch, min(augment.longest, ceil(short * 4 / 3)), short)  # the 4:3 of most cameras
    pixels = torch.zeros(micro_batch, 3, *shape[1:], device="meta")
    images = Images(pixels, torch.zeros(shape, dtype=torch.bool, device="meta"), ragged=True)
    empty = Target(torch.zeros(0, dtype=torch.int64, device="meta"), torch.zeros(0, 4, device="meta"))
    saved: dict[int, Tensor] = {}

    def save(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        targets = [empty] * micro_batch
        learner(images, targets, OptimizerStep.of(targets))
    parameters = {p.untyped_storage()._cdata for p in learner.parameters()}
    activations = sum(
        t.untyped_storage().nbytes() * (value_bytes / 4 if t.dtype == torch.float32 else 1)
        for key, t in saved.items()
        if key not in parameters
    )
    average = count_parameters(detector) if config.train.ema else 0
    trained = count_parameters(learner, trained=True)
    return int(activations + 4 * (count_parameters(learner) + 3 * trained + average))


def run_seconds(
    loop: Loop, loader: Loader, phase: FeaturePhase, valid: int, config: Config, processes: Processes
) -> float:
    """Seconds that the whole run may take, measured by dry runs on a micro-batch of it."""
    with closing(loader.epoch(0)) as batches:  # type: ignore[type-var]
        batch = next(batches)
    per_image = seconds_per_image(lambda images: loop.dry_run(batch.few(images)), len(batch))
    epochs = config.train.epochs
    evaluations = ceil(epochs / config.train.evaluate_every)  # the last epoch is always evaluated
    passes = epochs + valid / len(loader.samples) * evaluations * PREDICTION
    seconds = per_image * passes
    if phase.epochs:
        few = batch.few(2)
        started = time.monotonic()
        features = computed(loop.detector.backbone, few, loop.device)
        forward, started = (time.monotonic() - started) / len(few), time.monotonic()
        loop.dry_run(features)
        seconds -= phase.epochs * (per_image - (time.monotonic() - started) / len(few))
        seconds += phase.computed_epochs * forward
    return seconds * len(loader.samples) / processes.world


def seconds_per_image(dry_run: Callable[[int], None], batch: int) -> float:
    """Seconds of `dry_run(images)` for each image, in a whole batch, or with two images where a batch is slow.

    The first dry run is not measured: it loads kernels and allocates memory.
    """
    dry_run(1)
    per_image = 0.0
    for images in (min(2, batch), batch):
        if per_image * images < AFFORDABLE:
            started = time.monotonic()
            dry_run(images)
            per_image = (time.monotonic() - started) / images
    return per_image


def count_parameters(module: nn.Module, trained: bool = False) -> int:
    """The number of parameters: all, or only those that are trained."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trained)
