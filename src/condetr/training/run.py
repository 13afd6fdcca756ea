"""One training from its plan to its last epoch: what is told, noted, evaluated, kept, and when."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from .. import checkpoint
from ..checkpoint import Weights
from ..config import Config
from ..datasets.dataset import DataSet
from ..engine.distributed import SINGLE, Processes
from ..engine.interrupt import Interrupt
from ..engine.journal import Journal
from ..engine.memory import release_memory
from ..engine.optimizer import drop_epoch, learning_rate
from ..engine.precision import precision
from ..engine.trackers import Trackers
from ..errors import CondetrError
from ..evaluating.samples import evaluate_samples
from ..images.augment import Augment
from ..images.batch import Batch
from ..images.cache import reader
from ..images.loader import Loader
from ..predicting.predictor import Predictor
from . import plan
from .loop import Loop, LossError, StepResult
from .progress import Epoch, Evaluating, Planned, Progress, Stepped, Told
from .run_folder import RunFolder, card, fingerprint
from .start import start

NOTED = 20  # steps from one line of the journal to the next


class Stopped(CondetrError):
    """The run was asked to stop and has saved where it stands; `status` is a killed process's."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.status = 128 + number


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run: its folder, every epoch's numbers, and which epoch's weights are in `best/` (-1: none).

    `first` is whether this process is the one that tells.
    """

    folder: Path
    epochs: tuple[Epoch, ...]
    best_ap: float
    best_epoch: int
    first: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts about this machine that change how a run is done, not what it computes."""

    device: torch.device
    workers: int
    micro_batch: int
    cache_shares: int  # processes on this machine that cache images, each in its share of the memory


class Run:
    """One training: the loop, and everything around it."""

    def __init__(
        self, dataset: DataSet, folder: RunFolder, config: Config, machine: Machine, processes: Processes,
        interrupt: Interrupt, trackers: tuple[str, ...], tell: Progress,
    ) -> None:  # fmt: skip
        self.dataset, self.folder, self.config, self.machine = dataset, folder, config, machine
        self.processes, self.interrupt, self.tell = processes, interrupt, tell
        self.started = start(config, dataset.categories)
        self.precision = precision(config.train.precision, machine.device)
        self.loop = Loop(self.started.detector, config, machine.device, self.precision, processes)
        self.place = folder.take_up(self.loop, fingerprint(dataset))
        self.read = reader(config.data.cache, machine.cache_shares)
        train = dataset.split("train").samples
        self.valid = dataset.split("valid").samples
        per_process = -(-config.train.batch // processes.world)
        self.accumulate = -(-per_process // machine.micro_batch)
        self.loader = Loader(
            train, Augment(config.data), config.train.seed, config.train.batch, read=self.read,
            workers=machine.workers, rank=processes.rank, world=processes.world, micro_batches=self.accumulate,
        )  # fmt: skip
        self.trackers = Trackers(
            trackers if processes.first else (), folder.path, config.model_dump(), lambda line: tell(Told(line))
        )
        self.begun, self.clock, self.done = time.monotonic(), 0.0, 0
        self.last: dict[str, Any] | None = None

    def go(self) -> Result:
        place, epochs = self.place, self.config.train.epochs
        journal = Journal(self.folder.path / "journal.jsonl", place.journal) if self.processes.first else None
        self.history = [_epoch(row) for row in journal.read("epoch")] if journal else []
        self.journal = journal
        self.last = next((asdict(row) for row in reversed(self.history) if row.ap is not None), None)
        self._plan()
        with closing(self.trackers):
            while not place.finished:
                self._epoch()
                place.finished = place.epoch >= epochs or self._patience_is_over()
                self._save(place.finished or self.folder.due(epoch_over=True))
                release_memory()
        if self.journal:
            self.folder.show(self.journal, self._title, last=True)
        return Result(self.folder.path, tuple(self.history), place.best_ap, place.best_epoch, self.processes.first)

    def _epoch(self) -> None:
        """The rest of the epoch that the run is in, its evaluation, and what is told and kept of it."""
        place, train, started = self.place, self.config.train, time.monotonic()
        sums = place.sums = place.sums or [0.0] * 5
        with closing(self.loader.epoch(place.epoch, place.step)) as batches:  # type: ignore[type-var]
            for parts in _steps(batches):
                lr = learning_rate(train, place.epoch, place.total)
                try:
                    result = self.loop.step(parts, lr, place.total, bool(self.interrupt.number))
                except LossError as error:
                    self._save(True)
                    kept = self.folder.path / "last"
                    raise LossError(
                        f"{error}. Start again from {kept}, the weights before it, with --lr {train.lr / 2:g}"
                    ) from None
                values = (result.loss, result.classes, result.l1, result.giou, result.norm)
                place.sums = sums = [a + b for a, b in zip(sums, values)]
                place.step, place.total = place.step + 1, place.total + 1
                self._stepped(result, lr, time.monotonic() - started)
                if result.stop:
                    self._stop()
                self._save(self.folder.due(epoch_over=False))
        scores = self._evaluated()
        means = [value / max(1, len(self.loader)) for value in sums]
        self._keep(means, learning_rate(train, place.epoch, place.total - 1), scores, time.monotonic() - started)
        place.epoch, place.step, place.sums = place.epoch + 1, 0, []

    def _stepped(self, result: StepResult, lr: float, seconds: float) -> None:
        place, steps = self.place, len(self.loader)
        self.done += 1
        self.clock = (time.monotonic() - self.begun) / self.done
        left = (self.config.train.epochs * steps - place.total) * self.clock
        batch = len(self.loader.samples) / steps
        event = Stepped(
            place.epoch + 1, self.config.train.epochs, place.step, steps, result.loss, result.classes, result.l1,
            result.giou, result.norm, lr, batch / self.clock, left,
        )  # fmt: skip
        self.tell(event)
        if self.journal and place.total % NOTED == 0:
            noted = {"epoch": event.epoch, "step": place.total, **asdict(result), "lr": lr}
            self.journal.write("step", {k: v for k, v in noted.items() if k not in ("stop",)})
            named = {"loss": result.loss, "classes": result.classes, "l1": result.l1, "giou": result.giou}
            self.trackers.log(place.total, {f"train/{k}": v for k, v in named.items()} | {"train/lr": lr})

    def _evaluated(self) -> dict[str, float] | None:
        """COCO's numbers on `valid`, where this epoch is one that is evaluated; a better AP is kept in `best/`."""
        place, train = self.place, self.config.train
        number = place.epoch + 1
        if number % train.evaluate_every and number != train.epochs:
            return None

        def seen(done: int, total: int) -> None:
            self.tell(Evaluating(done, total))
            if self.interrupt.number and self.processes == SINGLE:
                self._stop()

        device, batch = self.machine.device, min(8, self.machine.micro_batch)
        predictor = Predictor(self.weights, device)
        categories = self.dataset.categories
        evaluator = evaluate_samples(
            predictor, self.valid, categories, batch, self.processes, device, seen, read=self.read
        )
        try:
            summary = asdict(evaluator.summary())
        except CondetrError:  # nothing is labelled in `valid`: the last weights are the best that is known
            return None
        if summary["ap"] > place.best_ap:
            place.best_ap, place.best_epoch = summary["ap"], place.epoch
            if self.processes.first:
                thresholds = evaluator.metrics(resamples=1).thresholds
                described = card(self.config, self.dataset, {"epoch": number, **summary})
                checkpoint.save(self.folder.path / "best", replace(self.weights, thresholds=thresholds), described)
        return summary

    def _keep(self, means: list[float], lr: float, scores: dict[str, float] | None, seconds: float) -> None:
        place = self.place
        names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100")
        row = {
            "epoch": place.epoch + 1, "step": place.total,
            **dict(zip(("loss", "classes", "l1", "giou", "norm"), means)), "lr": lr,
            **{name: scores[name] if scores else None for name in names},
            "best_ap": place.best_ap if place.best_epoch >= 0 else None, "seconds": round(seconds, 3),
        }  # fmt: skip
        self.last = row if scores else self.last
        self.history.append(_epoch(row))
        if self.journal:
            self.journal.write("epoch", row)
            self.folder.show(self.journal, self._title, last=False)
        self.trackers.log(place.total, {f"valid/{k}": v for k, v in (scores or {}).items()})
        self.tell(self.history[-1])

    def _patience_is_over(self) -> bool:
        patience, place = self.config.train.patience, self.place
        measured = bool(self.history) and self.history[-1].ap is not None  # a verdict needs an evaluation
        return measured and bool(patience) and place.best_epoch >= 0 and place.epoch - 1 - place.best_epoch >= patience

    def _save(self, now: bool) -> None:
        if self.journal and now:
            described = card(self.config, self.dataset, self.last)
            self.folder.save_state(self.place, self.loop, self.journal, self.weights, described)

    def _stop(self) -> None:
        self._save(True)
        place = self.place
        where = f"epoch {place.epoch + 1}, step {place.step} of {len(self.loader)}"
        raise Stopped(f"stopped at {where}; go on with --resume", self.interrupt.number or 15)

    @property
    def weights(self) -> Weights:
        return Weights(self.loop.eval_model, self.config, self.dataset.categories, None)

    @property
    def _title(self) -> str:
        return f"{self.config.recipe} on {self.dataset.name}"

    def _plan(self) -> None:
        config, machine, loop = self.config, self.machine, self.loop
        fresh = self.place.total == 0
        for note in self.started.notes if fresh else (f"goes on at epoch {self.place.epoch + 1}",):
            self.tell(Told(note))
        at_a_time = min(machine.micro_batch, -(-config.train.batch // self.processes.world))
        classes = self.dataset.categories
        self.tell(
            Planned(
                plan.Plan(
                    recipe=config.recipe,
                    images=plan.images(self.dataset),
                    objects=plan.objects(self.dataset.split("train").samples),
                    classes=tuple(classes.name(label) for label in classes.real),
                    epochs=config.train.epochs,
                    steps=len(self.loader),
                    parameters=plan.count(loop.detector),
                    learning=plan.count(loop.detector, learning=True),
                    parts=(at_a_time, self.accumulate, self.processes.world),
                    batch=config.train.batch,
                    lr=config.train.lr,
                    backbone_lr=config.train.lr * config.train.backbone_lr,
                    drop_epoch=drop_epoch(config.train),
                    device=str(machine.device),
                    precision=config.train.precision,
                    memory=self._memory(at_a_time),
                    seconds=self._estimate() if fresh else None,
                    out=self.folder.path,
                    notes=self.started.notes,
                )
            )
        )

    def _memory(self, at_a_time: int) -> int:
        """Bytes: of the process on a CPU, else of the device."""
        held = plan.held_memory(self.config, len(self.dataset.categories), at_a_time, self.precision.bytes)
        if self.machine.device.type != "cpu":
            return held
        sizes = (sample.truth.size for sample in (*self.loader.samples, *self.valid))
        return plan.process_memory(held, min(self.read.budget, sum(3 * height * width for height, width in sizes)))

    def _estimate(self) -> float | None:
        """Seconds that the run may take, from a rehearsal with two of its images; answering costs about a third."""
        with closing(self.loader.epoch(0)) as batches:  # type: ignore[type-var]
            part = next(batches)
        few = part.few(2)
        for _ in range(2 if self.machine.device.type == "cuda" else 1):  # the first time loads kernels
            started = time.monotonic()
            self.loop.rehearse(few)
        train = self.config.train
        each = (time.monotonic() - started) / len(few)
        answered = len(self.valid) * (train.epochs // train.evaluate_every) / 3
        return each * (len(self.loader.samples) * train.epochs + answered) / self.processes.world


def _steps(batches: Iterator[Batch]) -> Iterator[list[Batch]]:
    """The parts of one optimizer step together."""
    parts: list[Batch] = []
    for batch in batches:
        parts.append(batch)
        if batch.last:
            yield parts
            parts = []


def _epoch(row: dict[str, Any]) -> Epoch:
    return Epoch(**{key: value for key, value in row.items() if key != "kind"})
