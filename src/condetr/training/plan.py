"""What a training is about to do, in numbers, before its first step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config import Config
from ..datasets.dataset import DataSet
from ..engine.schedule import Schedule
from ..model.detector import Detector
from ..plural import counted
from ..types import Sample
from .estimates import count_parameters
from .features import FeaturePhase


@dataclass(frozen=True, slots=True)
class Plan:
    """`parts` is (images in a forward pass, forward passes accumulated, processes); `trained` of the `parameters` are
    not frozen; `memory` in bytes and `seconds` are estimates. Where no recipe was given, `chosen` says what is trained
    and why, and `alternative` is another call."""

    recipe: str
    images: dict[str, int]
    objects: int
    classes: tuple[str, ...]
    epochs: int
    steps: int
    parameters: int
    trained: int
    parts: tuple[int, int, int]
    batch: int
    backbone_lr: float
    schedule: Schedule
    device: str
    precision: str
    memory: int
    seconds: float | None
    features: FeaturePhase
    out: Path
    notes: tuple[str, ...]
    chosen: str
    alternative: str

    def lines(self) -> list[tuple[str, str]]:
        """The plan as (name, value) pairs to show."""
        micro_batch, accumulated, world = self.parts
        classes = ", ".join(self.classes[:8]) + (" …" if len(self.classes) > 8 else "")
        images = ", ".join(f"{count} {name}" for name, count in self.images.items())
        return [
            ("recipe", self.recipe),
            *([("why", self.chosen)] if self.chosen else []),
            ("images", f"{images}; {counted(self.objects, 'object')} in train"),
            ("classes", f"{len(self.classes)}: {classes}"),
            ("steps", f"{self.epochs * self.steps:,}: {counted(self.epochs, 'epoch')} of {self.steps:,}"),
            (
                "batch",
                f"{self.batch}: {micro_batch} at a time × {accumulated} accumulated × {counted(world, 'process')}",
            ),
            ("parameters", f"{_millions(self.trained)} trained, {_millions(self.parameters - self.trained)} frozen"),
            ("learning rate", ", ".join(part for part in self._learning_rate() if part)),
            *([("features", features_line(self.features))] if self.features.epochs else []),
            ("device", f"{self.device}, {self.precision}"),
            ("memory", f"about {self.memory / 2**30:.1f} GiB"),
            ("time", "known after the first steps" if self.seconds is None else f"about {duration(self.seconds)}"),
            ("output", str(self.out)),
        ]

    def _learning_rate(self) -> tuple[str, ...]:
        warmup = f"warm-up {counted(self.schedule.warmup, 'step')}" if self.schedule.warmup else ""
        return f"{self.schedule.lr:g}", f"backbone {self.backbone_lr:g}", warmup, self.schedule.decay


def make_plan(
    config: Config, dataset: DataSet, detector: Detector, schedule: Schedule, steps: int, parts: tuple[int, int, int],
    device: str, memory: int, seconds: float | None, features: FeaturePhase, out: Path, notes: tuple[str, ...],
    chosen: tuple[str, str],
) -> Plan:  # fmt: skip
    """The plan of a run; `steps` are those of one epoch."""
    classes, train = dataset.categories, config.train
    return Plan(
        recipe=config.recipe,
        images=images(dataset),
        objects=objects(dataset.split("train").samples),
        classes=tuple(classes.name(label) for label in classes.real),
        epochs=train.epochs,
        steps=steps,
        parameters=count_parameters(detector),
        trained=count_parameters(detector, trained=True),
        parts=parts,
        batch=train.batch,
        backbone_lr=train.lr * train.backbone_lr,
        schedule=schedule,
        device=device,
        precision=train.precision,
        memory=memory,
        seconds=seconds,
        features=features,
        out=out,
        notes=notes,
        chosen=chosen[0],
        alternative=chosen[1],
    )


def warmup_note(warmup: int, total: int) -> tuple[str, ...]:
    """A line about a warm-up that takes more than a third of the run's `total` steps."""
    if 3 * warmup <= total:
        return ()
    effect = "the learning rate does not reach lr" if warmup > total else "that is more than a third"
    shorter = "`settings={'train.warmup': 0.05}` makes it shorter"
    return (f"the warm-up takes {warmup:,} of {counted(total, 'step')}: {effect}; {shorter}",)


def features_line(phase: FeaturePhase) -> str:
    """What is computed once, for how long it is used, and how much memory it takes."""
    variants, epochs = counted(phase.variants, "variant"), counted(phase.epochs, "epoch")
    text = f"{variants} of each image, computed once, for the first {epochs}"
    if phase.needed <= phase.budget:
        return f"{text}: {_bytes(phase.needed)}"
    fits = phase.budget * phase.variants // phase.needed
    fewer = {"train.feature_variants": fits} if fits else {"train.feature_epochs": 0}
    way = f"`settings={fewer}` {'fits' if fits else 'trains without'}"
    return (
        f"{text}: of {_bytes(phase.needed)}, {_bytes(phase.budget)} fit into memory, and the others are computed in "
        f"each epoch ({way})"
    )


def duration(seconds: float) -> str:
    """A duration in the unit that suits it: `5 s`, `10 min`, `5.0 h`, `3.0 days`."""
    minutes, hours = seconds / 60, seconds / 3600
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def images(dataset: DataSet) -> dict[str, int]:
    """The number of images in each split."""
    return {name: len(split) for name, split in dataset.splits.items()}


def objects(samples: Sequence[Sample]) -> int:
    """The number of objects, crowd regions not counted."""
    return sum(int((~sample.truth.crowd).sum()) for sample in samples)


def _millions(parameters: int) -> str:
    if not parameters:
        return "none"
    return f"{parameters / 1e6:.1f} M" if parameters >= 1e5 else f"{parameters / 1e3:.0f} k"


def _bytes(number: int) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**29 else f"{number / 2**20:.1f} MiB"
