"""One training from its plan to its last epoch: what is reported, logged, evaluated and saved, and when."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, replace
from typing import Any

from ..checkpoint import Weights
from ..config import Config
from ..datasets.dataset import DataSet
from ..engine.distributed import SINGLE, Processes
from ..engine.interrupt import Interrupt
from ..engine.journal import Journal
from ..engine.memory import release_memory
from ..engine.precision import precision
from ..engine.schedule import schedule
from ..engine.stopwatch import timed, timed_items
from ..engine.trackers import Trackers
from ..errors import CondetrError
from ..evaluating.samples import Predicting, evaluate_samples
from ..images.batch import AnyBatch
from ..images.cache import reader
from ..images.loader import Loader
from ..predicting.predictor import Predictor
from .card import card, published
from .data import box_sizes, fingerprint
from .estimates import run_memory, run_seconds
from .features import FeatureCache, FeatureLoader, feature_phase
from .loop import Loop, LossError, StepResult
from .machine import Machine
from .plan import counted, make_plan, warmup_note
from .profile import Profile
from .progress import Epoch, Evaluating, Message, Planned, Progress, Step
from .run import Run, Stopped
from .run_folder import RunFolder
from .start import start
from .valid_features import FeaturePredictor, same_weights

COLD_STEPS = 2  # at the beginning, slower than the others
LOG_EVERY = 20  # steps between two lines of the journal
METRICS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100")


class Trainer:
    """The loop, and everything around it."""

    def __init__(
        self, dataset: DataSet, folder: RunFolder, config: Config, machine: Machine, processes: Processes,
        interrupt: Interrupt, trackers: tuple[str, ...], report: Progress, chosen: tuple[str, str],
        profile: bool = False,
    ) -> None:  # fmt: skip
        self.dataset, self.folder, self.config, self.machine = dataset, folder, config, machine
        self.processes, self.interrupt, self.report, self.chosen = processes, interrupt, report, chosen
        self.start = start(config, dataset.categories, folder.has_state(), box_sizes(dataset.split("train")))
        self.stop_before_steps()
        self.valid = dataset.split("valid").samples
        self.phase = feature_phase(
            config, dataset.split("train").samples, self.valid, self.start.detector.backbone.to(machine.device),
            machine.device, machine.cache_shares,
        )  # fmt: skip
        reserved = min(self.phase.needed, self.phase.budget)
        self.read = reader(config.data.cache, machine.cache_shares, reserved)
        self.per_process = -(-config.train.batch // processes.world)
        self.accumulate = -(-self.per_process // machine.micro_batch)
        self.loader = Loader(
            dataset.split("train").samples, config.data, config.train.seed, config.train.batch,
            epochs=config.train.epochs, read=self.read, workers=machine.workers, rank=processes.rank,
            world=processes.world, micro_batches=self.accumulate, variants=self.phase.variants,
            variant_epochs=self.phase.epochs,
        )  # fmt: skip
        self.schedule = schedule(config.train, len(self.loader))
        self.precision = precision(config.train.precision, machine.device)
        steps = config.train.epochs * len(self.loader)
        self.loop = Loop(self.start.detector, config, steps, machine.device, self.precision, processes)
        self.position = folder.resume(self.loop, fingerprint(dataset))
        self.features = FeatureLoader(
            self.loader, self.loop.detector.backbone, machine.device, FeatureCache(self.phase.budget)
        )  # fmt: skip
        self.valid_features = FeatureCache(max(0, self.phase.budget - self.phase.needed))
        self.title = f"{config.recipe} on {dataset.name}"
        journal = Journal(folder.path / "journal.jsonl", self.position.journal) if processes.first else None
        self.journal = journal
        self.history = [_epoch(row) for row in journal.read("epoch")] if journal else []
        self.evaluated = next((asdict(row) for row in reversed(self.history) if row.ap is not None), None)
        self.trackers = Trackers(
            trackers if processes.first else (), folder.path, published(config).model_dump(),
            lambda line: report(Message(line)),
        )  # fmt: skip
        self.profile = (
            Profile(self.loop.detector, machine.device, config.train.evaluate_every, report) if profile else None
        )
        self.started, self.steps_taken, self.warm = time.monotonic(), 0, False

    def run(self) -> Run:
        """Train until the last epoch, or until `train.patience` ends it."""
        position, epochs = self.position, self.config.train.epochs
        position.finished = position.epoch >= epochs or (position.step == 0 and self._patience_exhausted())
        if position.finished:
            self._report_finished()
        else:
            self._report_plan()
            self.stop_before_steps()
        self.folder.stepping = True
        position.epochs = epochs
        self.started = time.monotonic()
        with closing(self.trackers):
            while not position.finished:
                with self._profiled():
                    self._run_epoch()
                position.finished = position.epoch >= epochs or self._patience_exhausted()
                self._save(position.finished or self.folder.due(epoch_over=True))
                release_memory()
        if self.profile is not None:
            self.profile.close(len(self.loader))
        if self.journal:
            self.folder.write_progress(self.journal, self.title, last=True)
        scored = position.best_epoch >= 0
        return Run(
            self.folder.path, self.folder.path / ("best" if scored else "last"), tuple(self.history),
            position.best_ap if scored else None, position.best_epoch + 1 if scored else None, self.config,
            self.processes.first,
        )  # fmt: skip

    def _run_epoch(self) -> None:
        """Train the rest of the current epoch, evaluate, and log the epoch."""
        position, train, started = self.position, self.config.train, time.monotonic()
        sums = position.sums = position.sums or [0.0] * 5
        with closing(self._batches()) as batches:  # type: ignore[type-var]
            for parts in timed_items("reading", _steps(batches)):
                lr = self.schedule(position.epoch, position.total)
                try:
                    result = self.loop.step(parts, lr, position.total, bool(self.interrupt.number))
                except LossError as error:
                    self._save(True)
                    raise LossError(
                        f"{error}. Start again from the last weights before it, with a lower learning rate: "
                        f"`init={str(self.folder.path / 'last')!r}, lr={train.lr / 2:g}`"
                    ) from None
                values = (result.loss, result.classes, result.l1, result.giou, result.norm)
                position.sums = sums = [a + b for a, b in zip(sums, values)]
                position.step, position.total = position.step + 1, position.total + 1
                self._report_step(result, lr)
                if result.stop:
                    self._stop()
                with timed("files"):
                    self._save(self.folder.due(epoch_over=False))
                if self.profile is not None:
                    self.profile.step(self._kind)
        scores = self._evaluate()
        means = [value / max(1, len(self.loader)) for value in sums]
        lr = self.schedule(position.epoch, position.total - 1)
        with timed("files"):
            self._log_epoch(means, lr, scores, time.monotonic() - started)
        position.epoch, position.step, position.sums = position.epoch + 1, 0, []

    def _batches(self) -> Iterator[AnyBatch]:
        """The rest of the current epoch."""
        epoch, step = self.position.epoch, self.position.step
        if epoch < self.phase.epochs:
            return self.features.epoch(epoch, step)
        self.features.cache.clear()
        return self.loader.epoch(epoch, step)

    @property
    def _kind(self) -> str:
        """The kind of the current epoch, whose time is much the same as of the others of its kind."""
        epoch, phase = self.position.epoch, self.phase
        if epoch >= phase.epochs:
            return "on images"
        return "on features that are computed" if epoch < phase.variants else "on cached features"

    def _profiled(self) -> AbstractContextManager[None]:
        return self.profile.epoch(self._kind, len(self.loader)) if self.profile is not None else nullcontext()

    def _report_step(self, result: StepResult, lr: float) -> None:
        position, steps, epochs = self.position, len(self.loader), self.config.train.epochs
        self.steps_taken += 1
        seconds = (time.monotonic() - self.started) / max(1, self.steps_taken)
        if not self.warm and self.steps_taken == COLD_STEPS:  # measure again without the slow first steps
            self.started, self.steps_taken, self.warm = time.monotonic(), 0, True
        losses = {"loss": result.loss, "classes": result.classes, "l1": result.l1, "giou": result.giou}
        step = Step(
            epoch=position.epoch + 1, epochs=epochs, step=position.step, steps=steps, **losses, norm=result.norm, lr=lr,
            images_per_second=len(self.loader.samples) / steps / seconds,
            seconds_left=(epochs * steps - position.total) * seconds,
        )  # fmt: skip
        self.report(step)
        if self.journal and position.total % LOG_EVERY == 0:
            row = {"epoch": step.epoch, "step": position.total, **asdict(result), "lr": lr}
            row.pop("stop")
            self.journal.write("step", row)
            self.trackers.log(position.total, {f"train/{k}": v for k, v in losses.items()} | {"train/lr": lr})

    def _evaluate(self) -> dict[str, float] | None:
        """The COCO metrics on `valid` if this epoch is evaluated; weights with a better AP are saved as `best`."""
        position, train = self.position, self.config.train
        number = position.epoch + 1
        if number % train.evaluate_every and number != train.epochs:
            return None

        def progress(done: int, total: int) -> None:
            self.report(Evaluating(done, total))
            if self.interrupt.number and self.processes == SINGLE:
                self._stop()

        with timed("evaluation"):
            evaluator = evaluate_samples(
                self._predictor(), self.valid, self.dataset.categories, min(8, self.machine.micro_batch),
                self.processes, self.machine.device, progress, read=self.read,
            )  # fmt: skip
        try:
            with timed("evaluation"):
                summary = asdict(evaluator.summary())
        except CondetrError:  # `valid` has no objects, so that no weights are known to be better than the last
            return None
        if summary["ap"] > position.best_ap:
            position.best_ap, position.best_epoch = summary["ap"], position.epoch
            if self.processes.first:
                thresholds = evaluator.metrics(resamples=1).thresholds if summary["ap"] > 0 else None
                described = card(self.config, self.dataset, {"epoch": number, **summary})
                self.folder.save_weights("best", replace(self.weights, thresholds=thresholds), described)
        return summary

    def _log_epoch(self, means: list[float], lr: float, scores: dict[str, float] | None, seconds: float) -> None:
        position = self.position
        row = {
            "epoch": position.epoch + 1, "step": position.total,
            **dict(zip(("loss", "classes", "l1", "giou", "norm"), means)), "lr": lr,
            **{name: scores[name] if scores else None for name in METRICS},
            "best_ap": position.best_ap if position.best_epoch >= 0 else None, "seconds": round(seconds, 3),
        }  # fmt: skip
        self.evaluated = row if scores else self.evaluated
        self.history.append(_epoch(row))
        if self.journal:
            self.journal.write("epoch", row)
            self.folder.write_progress(self.journal, self.title, last=False)
        self.trackers.log(position.total, {f"valid/{k}": v for k, v in (scores or {}).items()})
        self.report(self.history[-1])

    def _predictor(self) -> Predicting:
        """What predicts `valid`: where the backbone is frozen, from features that are kept, if that is the same."""
        weights, backbone = self.weights, self.loop.detector.backbone
        exact = self.machine.device.type == "cpu" and backbone.exact
        if self.position.epoch < self.phase.epochs and exact and same_weights(weights.detector.backbone, backbone):
            return FeaturePredictor(weights, self.valid_features)
        self.valid_features.clear()
        return Predictor(weights, self.machine.device)

    def _patience_exhausted(self) -> bool:
        patience, position = self.config.train.patience, self.position
        evaluated = bool(self.history) and self.history[-1].ap is not None
        return (
            evaluated and bool(patience) and position.best_epoch >= 0
            and position.epoch - 1 - position.best_epoch >= patience
        )  # fmt: skip

    def _save(self, now: bool) -> None:
        if self.journal and now:
            described = card(self.config, self.dataset, self.evaluated)
            self.folder.save_state(self.position, self.loop, self.journal, self.weights, described)

    def stop_before_steps(self) -> None:
        """Raises Stopped after a signal, before the first step. Of several processes, all stop together, after one."""
        if self.interrupt.number and self.processes == SINGLE:
            again = "continue with `resume=True`" if self.folder.begun() else "nothing has been written"
            raise Stopped(f"stopped before the first step; {again}", self.interrupt.number)

    def _stop(self) -> None:
        self._save(True)
        # of several processes, torchrun may kill the others while one draws
        if self.journal and self.history and self.processes == SINGLE:
            self.folder.write_progress(self.journal, self.title, last=True)
        where = f"epoch {self.position.epoch + 1}, step {self.position.step} of {len(self.loader)}"
        raise Stopped(f"stopped at {where}; continue with `resume=True`", self.interrupt.number or 15)

    def _resuming(self) -> str:
        """A line about where the run continues and, where a schedule of another length began it, along which one."""
        where, epochs = f"resuming at epoch {self.position.epoch + 1}", self.config.train.epochs
        if self.position.epochs in (0, epochs):
            return where
        lr, before = self.schedule(self.position.epoch, self.position.total), self.history[-1].lr if self.history else 0
        changed = f"; it was {before:.2g} in epoch {self.position.epoch} and is {lr:.2g} now" if before else ""
        decay = f" ({self.schedule.decay})" if self.schedule.decay else ""
        return (
            f"{where} of {epochs}, not of {self.position.epochs} as before: the learning rate follows the schedule "
            f"of {counted(epochs, 'epoch')}{decay}{changed}"
        )

    def _report_finished(self) -> None:
        epoch, patience = self.position.epoch, self.config.train.patience
        if epoch >= self.config.train.epochs:
            why, longer = "", f"`resume=True, epochs={2 * epoch}`"
        else:
            why = f": no better AP in {counted(patience, 'epoch')}"
            longer = "`resume=True, settings={'train.patience': 0}`"
        self.report(
            Message(f"this run is already finished ({counted(epoch, 'epoch')}{why}); {longer} trains it longer")
        )

    @property
    def weights(self) -> Weights:
        """The weights as they are now, the moving average where there is one."""
        return Weights(self.loop.eval_model, self.config, self.dataset.categories, None)

    def _report_plan(self) -> None:
        new = self.position.total == 0
        notes = (*self.start.notes, *warmup_note(self.schedule.warmup, self.config.train.epochs * len(self.loader)))
        for note in notes if new else (self._resuming(),):
            self.report(Message(note))
        micro_batch = min(self.machine.micro_batch, self.per_process)
        parts = (micro_batch, self.accumulate, self.processes.world)
        memory = run_memory(
            self.config, self.dataset, self.machine, micro_batch, self.precision.bytes, self.read.budget
        )
        if self.machine.device.type == "cpu":
            memory += min(self.phase.needed, self.phase.budget)
        seconds = None
        if new:
            seconds = run_seconds(
                self.loop, self.loader, self.phase, len(self.valid), self.config, self.processes
            )  # fmt: skip
        plan = make_plan(
            self.config, self.dataset, self.loop.detector, self.schedule, len(self.loader), parts,
            str(self.machine.device), memory, seconds, self.phase, self.folder.path, notes, self.chosen,
        )  # fmt: skip
        self.report(Planned(plan))


def _steps(batches: Iterator[AnyBatch]) -> Iterator[list[AnyBatch]]:
    """The micro-batches of one optimizer step together."""
    parts: list[AnyBatch] = []
    for batch in batches:
        parts.append(batch)
        if batch.last:
            yield parts
            parts = []


def _epoch(row: dict[str, Any]) -> Epoch:
    return Epoch(**{key: value for key, value in row.items() if key != "kind"})
