"""One training from its plan to its last epoch: what is trained, evaluated and saved, and when."""

import logging
import time
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, replace

import torch

from ..build import build_schedule
from ..checkpoint import Weights
from ..config import Config
from ..datasets.dataset import DataSet
from ..engine.distributed import SINGLE, Processes
from ..engine.interrupt import Interrupt
from ..engine.memory import release_memory
from ..engine.precision import precision
from ..engine.stopwatch import timed, timed_items
from ..errors import CondetrError
from ..metrics.operating_point import LEAST_AP
from .batches import Batches
from .card import card
from .data import box_sizes, fingerprint
from .estimates import out_of_memory_note, run_memory, run_seconds
from .loop import Loop, LossError, StepResult
from .machine import Machine
from .nothing_learned import nothing_learned
from .plan import make_plan, warmup_note
from .profile import Profile
from .progress import Evaluating, Message, Planned, Progress, Step
from .record import Record
from .resuming import finished_note, resuming_note
from .run import Run, Stopped
from .run_folder import RunFolder
from .start import start
from .validation import Validation

logger = logging.getLogger(__name__)

COLD_STEPS = 2  # at the beginning, slower than the others


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
        backbone = self.start.detector.backbone.to(machine.device)
        self.batches = Batches(dataset, config, machine, processes, backbone)
        self.validation = Validation(dataset, machine, processes, self.batches)
        self.schedule = build_schedule(config.train, len(self.batches))
        self.precision = precision(config.train.precision, machine.device)
        steps = config.train.epochs * len(self.batches)
        self.loop = Loop(self.start.detector, config, steps, machine.device, self.precision, processes)
        self.position = folder.resume(self.loop, fingerprint(dataset))
        title = f"{config.recipe} on {dataset.name}"
        self.record = Record(folder, config, title, self.position, trackers, report, processes.first)
        every = min(config.train.evaluate_every, config.train.epochs)  # the last epoch is always evaluated
        self.profile = Profile(self.loop.detector, machine.device, every, report) if profile else None
        self.started, self.steps_taken, self.warm = time.monotonic(), 0, False

    def run(self) -> Run:
        """Train until the last epoch, or until `train.patience` ends it."""
        position, epochs = self.position, self.config.train.epochs
        position.finished = position.epoch >= epochs or (position.step == 0 and self._patience_exhausted())
        if position.finished:
            self.report(Message(finished_note(position.epoch, epochs, self.config.train.patience)))
        else:
            self._report_plan()
            self.stop_before_steps()
        self.folder.stepping = True
        position.epochs = epochs
        self.started = time.monotonic()
        with closing(self.record):
            while not position.finished:
                with self._profiled():
                    self._run_epoch()
                position.finished = position.epoch >= epochs or self._patience_exhausted()
                self._save(position.finished or self.folder.due(epoch_over=True))
                release_memory()
        if self.profile is not None:
            self.profile.close(len(self.batches))
        self.record.write_progress(last=True)
        scored = position.best_epoch >= 0
        if scored and position.best_ap < LEAST_AP:
            self.report(Message(nothing_learned(position.best_ap, position.epoch, position.total, self.config.train)))
        return Run(
            self.folder.path, self.folder.path / ("best" if scored else "last"), tuple(self.record.epochs),
            position.best_ap if scored else None, position.best_epoch + 1 if scored else None, self.config,
            self.processes.first,
        )  # fmt: skip

    def _run_epoch(self) -> None:
        """Train the rest of the current epoch, evaluate, and log the epoch."""
        position, started = self.position, time.monotonic()
        sums = position.sums = position.sums or [0.0] * 5
        with closing(self.batches.epoch(position.epoch, position.step)) as steps:  # type: ignore[type-var]
            for parts in timed_items("reading", steps):
                lr, most = self.schedule(position.epoch, position.total), self.loop.most
                try:
                    result = self.loop.step(parts, lr, position.total, bool(self.interrupt.number))
                except LossError as error:
                    self._save(True)
                    raise LossError(
                        f"{error}. Start again from the last weights before it, with a lower learning rate: "
                        f"`init={str(self.folder.path / 'last')!r}, lr={self.config.train.lr / 2:g}`"
                    ) from None
                values = (result.loss, result.classes, result.l1, result.giou, result.norm)
                position.sums = sums = [a + b for a, b in zip(sums, values)]
                position.step, position.total = position.step + 1, position.total + 1
                self._report_step(result, lr)
                if self.loop.most < most:
                    self.report(Message(out_of_memory_note(self.machine.device, self.loop.most)))
                if result.stop:
                    self._stop()
                with timed("files"):
                    self._save(self.folder.due(epoch_over=False))
                if self.profile is not None:
                    self.profile.step(self.batches.kind(position.epoch))
        scores = self._evaluate()
        means = [value / max(1, len(self.batches)) for value in sums]
        lr = self.schedule(position.epoch, position.total - 1)
        with timed("files"):
            self.report(self.record.epoch(position, means, lr, scores, time.monotonic() - started))
        position.epoch, position.step, position.sums = position.epoch + 1, 0, []

    def _profiled(self) -> AbstractContextManager[None]:
        if self.profile is None:
            return nullcontext()
        return self.profile.epoch(self.batches.kind(self.position.epoch), len(self.batches))

    def _report_step(self, result: StepResult, lr: float) -> None:
        position, steps, epochs = self.position, len(self.batches), self.config.train.epochs
        self.steps_taken += 1
        seconds = (time.monotonic() - self.started) / max(1, self.steps_taken)
        if not self.warm and self.steps_taken == COLD_STEPS:  # measure again without the slow first steps
            self.started, self.steps_taken, self.warm = time.monotonic(), 0, True
        step = Step(
            epoch=position.epoch + 1, epochs=epochs, step=position.step, steps=steps, loss=result.loss,
            classes=result.classes, l1=result.l1, giou=result.giou, norm=result.norm, lr=lr,
            images_per_second=len(self.batches.loader.samples) / steps / seconds,
            seconds_left=(epochs * steps - position.total) * seconds,
        )  # fmt: skip
        self.report(step)
        self.record.step(step, result, position.total)

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
            evaluator = self.validation.evaluate(self.weights, self.loop.detector.backbone, position.epoch, progress)
        try:
            with timed("evaluation"):
                summary = asdict(evaluator.summary())
        except CondetrError:  # `valid` has no objects, so that no weights are known to be better than the last
            return None
        if summary["ap"] > position.best_ap:
            position.best_ap, position.best_epoch = summary["ap"], position.epoch
            if self.processes.first:
                thresholds = evaluator.metrics(resamples=1).thresholds if summary["ap"] >= LEAST_AP else None
                described = card(self.config, self.dataset, {"epoch": number, **summary})
                self.folder.save_weights("best", replace(self.weights, thresholds=thresholds), described)
        return summary

    def _patience_exhausted(self) -> bool:
        patience, position, epochs = self.config.train.patience, self.position, self.record.epochs
        evaluated = bool(epochs) and epochs[-1].ap is not None
        return (
            evaluated and bool(patience) and position.best_epoch >= 0
            and position.epoch - 1 - position.best_epoch >= patience
        )  # fmt: skip

    def _save(self, now: bool) -> None:
        if self.record.journal and now:
            described = card(self.config, self.dataset, self.record.evaluated)
            self.folder.save_state(self.position, self.loop, self.record.journal, self.weights, described)

    def stop_before_steps(self) -> None:
        """Raises Stopped after a signal, before the first step. Of several processes, all stop together, after one."""
        if self.interrupt.number and self.processes == SINGLE:
            again = "continue with `resume=True`" if self.folder.begun() else "nothing has been written"
            raise Stopped(f"stopped before the first step; {again}", self.interrupt.number)

    def _stop(self) -> None:
        self._save(True)
        # of several processes, torchrun may kill the others while one draws
        if self.record.epochs and self.processes == SINGLE:
            self.record.write_progress(last=True)
        where = f"epoch {self.position.epoch + 1}, step {self.position.step} of {len(self.batches)}"
        raise Stopped(f"stopped at {where}; continue with `resume=True`", self.interrupt.number or 15)

    @property
    def weights(self) -> Weights:
        """The weights as they are now, the moving average where there is one."""
        return Weights(self.loop.eval_model, self.config, self.dataset.categories, None)

    def _report_plan(self) -> None:
        epochs, history, batches = self.config.train.epochs, self.record.epochs, self.batches
        new = self.position.total == 0
        notes = (*self.start.notes, *warmup_note(self.schedule.warmup, epochs * len(batches)))
        again = resuming_note(self.position, epochs, self.schedule, history[-1].lr if history else 0.0)
        for note in notes if new else (again,):
            self.report(Message(note))
        micro_batch, accumulated = min(self.machine.micro_batch, batches.per_process), batches.micro_batches
        memory = self._memory(micro_batch)  # before the dry runs, after which the process keeps some of theirs
        seconds, gpu = None, self.machine.device.type == "cuda"
        if new:
            logger.info("measuring the time and the memory of a step")
            if gpu:
                torch.cuda.reset_peak_memory_stats(self.machine.device)
            valid = len(self.validation.samples)
            seconds = run_seconds(self.loop, batches.loader, batches.phase, valid, self.config, self.processes)
        if self.loop.most < micro_batch:  # the dry runs have found out
            micro_batch, accumulated = self.loop.most, -(-batches.per_process // self.loop.most)
            memory = self._memory(micro_batch)
        if new and gpu:
            memory = torch.cuda.max_memory_allocated(self.machine.device)
        parts = (micro_batch, accumulated, self.processes.world)
        plan = make_plan(
            self.config, self.dataset, self.loop.detector, self.schedule, len(batches), parts,
            str(self.machine.device), memory, seconds, batches.phase, self.folder.path, notes, self.chosen,
        )  # fmt: skip
        self.report(Planned(plan))

    def _memory(self, micro_batch: int) -> int:
        """The estimate for the whole run, in bytes."""
        memory = run_memory(
            self.config, self.dataset, self.machine, micro_batch, self.precision.bytes, self.batches.read.budget
        )
        return memory + self.batches.reserved if self.machine.device.type == "cpu" else memory
