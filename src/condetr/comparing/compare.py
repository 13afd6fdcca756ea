"""Train models side by side on the same data, and say how much sooner one learns than another."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..datasets.dataset import DataSet
from ..engine.device import check_device
from ..engine.interrupt import deferred_signals
from ..engine.lock import locked
from ..errors import CondetrError, ConfigError, DataError
from ..examining.cache import cache_folder
from ..examining.examine import examine
from ..training.resolution import sized
from ..training.run_folder import fingerprint
from . import study
from .compared import Advanced, Compared, Ended, Event, Planned, Told, recomputed, write
from .rehearsal import seconds_per_epoch
from .runner import run_all
from .statistics import compare as count
from .study import Asked, Fitted, Run
from .variants import configs, default_base

__all__ = ["Advanced", "Compared", "Ended", "Event", "Interrupted", "Planned", "compare", "recomputed"]

HELD_OUT_SEED = 42  # one division for all models and seeds


class Interrupted(CondetrError):
    """The study was asked to stop; its runs have saved where they stand."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.status = 128 + number


def compare(
    data: Path | str,
    models: Sequence[str],
    out: Path | str,
    *,
    recipe: str | None = None,
    settings: Mapping[str, Any] | None = None,
    epochs: Sequence[int] | None = None,
    seeds: int = 3,
    budget: float | None = None,
    reference: str | None = None,
    hold_out: float | None = None,
    runs: Path | str | None = None,
    device: str | None = None,
    jobs: int = 1,
    follow_outside: bool = False,
    tell: Told = lambda event: None,
) -> Compared:
    """Train every model with every schedule and seed, and write `report.html` and `comparison.json` into `out`.

    `models` are recipes or variants of the base `recipe`; `settings` go by `path` for all, `MODEL:path` for one.
    Each of `epochs` is a complete schedule of its own. `budget` is in minutes. The runs are in `runs` (else in `out`),
    where other studies find them. The same call again goes on where it stands.

    Raises CondetrError in one line for what a user can mend, Interrupted after SIGTERM or Ctrl-C.
    """
    out = Path(out)
    root = Path(runs) if runs is not None else out
    dataset = _opened(Path(data), hold_out, follow_outside)
    device = check_device(device)
    base = recipe or default_base(dataset, device)
    asked = _asked(dataset, configs(models, base, settings or {}), epochs, seeds, budget, reference)
    with locked(out):
        planned = _planned(dataset, asked, out, root, jobs, device)
        tell(planned)
        problems, signal = _run(planned, tell)
        stopped = f"stopped; the same command goes on with the study in {out}"
        try:
            compared = _compared(planned, problems)
        except CondetrError:
            if signal:
                raise Interrupted(stopped, signal) from None
            raise
        write(compared, out)
    if signal:
        raise Interrupted(f"{stopped}, and what is done is in its report.html", signal)
    return compared


def _opened(path: Path, hold_out: float | None, follow_outside: bool = False) -> DataSet:
    dataset = examine(path, follow_outside=follow_outside, cache=cache_folder()).trainable()
    if hold_out is not None:
        return dataset.with_held_out(hold_out, HELD_OUT_SEED)
    if "valid" not in dataset.splits:
        raise DataError(
            f"{path}: no split 'valid' to compare on. Add one, or set a part of the training images aside "
            "with --hold-out 0.15"
        )
    if not any((~sample.truth.crowd).any() for sample in dataset.split("valid")):
        raise DataError(f"{path}: nothing is labelled in 'valid': there would be no AP to compare. Label some of it")
    return dataset


def _asked(
    dataset: DataSet, models: dict[str, Any], epochs: Sequence[int] | None, seeds: int, budget: float | None,
    reference: str | None,
) -> Asked:  # fmt: skip
    if len(models) < 2:
        raise ConfigError("--models: a comparison needs two models or more, with commas between")
    first = next(iter(models))
    if reference is not None and reference not in models:
        raise ConfigError(f"--reference {reference}: not among the models. There are {', '.join(models)}")
    schedules = tuple(sorted(set(epochs or [models[first].train.epochs])))
    if min(schedules) < 1 or seeds < 1 or (budget is not None and budget <= 0):
        raise ConfigError("--epochs, --seeds and --budget: numbers above 0")
    models = {name: sized(config, dataset) for name, config in models.items()}
    return Asked(models, schedules, seeds, budget, reference or first, fingerprint(dataset))


def _planned(dataset: DataSet, asked: Asked, out: Path, root: Path, jobs: int, device: str) -> Planned:
    """The plan, as it was made when the study began, or made now; what it will take is measured."""
    fitted = study.settle(out, asked)
    whole = study.runs(asked.models, fitted or Fitted(asked.epochs, asked.seeds, ()), root)
    left = [run for run in whole if study.finished(run, asked.data) is None]
    per_epoch = {
        name: seconds_per_epoch(dataset, config, device)
        for name, config in asked.models.items()
        if any(run.model == name for run in left) or (fitted is None and asked.budget is not None)
    }
    if fitted is None:
        fitted = study.fit(per_epoch, asked, jobs)
        study.keep(out, asked, fitted)
        whole = study.runs(asked.models, fitted, root)
        left = [run for run in whole if study.finished(run, asked.data) is None]
    places = {run.folder: run for run in left}.values()
    total = sum(run.epochs * per_epoch[run.model] + study.OVERHEAD for run in places)
    seconds = total / min(jobs, len(places)) if places else None
    return Planned(dataset, asked, fitted, tuple(whole), tuple(left), seconds, per_epoch, jobs, device, out)


def _run(planned: Planned, tell: Told) -> tuple[list[str], int]:
    """Do what is left to do; returns why some of it could not be, and a signal that came."""
    started, problems = time.monotonic(), []
    took: dict[str, float] = {}

    def may(run: Run) -> bool:
        """Whether the run still fits the budget; how long is judged by finished ones where there are any."""
        if planned.asked.budget is None:
            return True
        each = took.get(run.model, planned.per_epoch[run.model]) * run.epochs + study.OVERHEAD
        if time.monotonic() - started + each <= planned.asked.budget * 60 * 1.1:
            return True
        problems.append(f"{run.name}: no time is left in the budget; the same command again goes on")
        return False

    def heard(event: Advanced | Ended) -> None:
        if isinstance(event, Ended) and event.problem is None:
            took[event.run.model] = event.seconds / event.run.epochs
        if isinstance(event, Ended) and event.problem is not None:
            if interrupt.number:
                return
            problems.append(f"{event.run.name}: {event.problem}")
        tell(event)

    places = {run.folder: run for run in planned.left}
    with deferred_signals() as interrupt:
        run_all(
            list(places.values()), planned.data, _devices(planned.device), planned.jobs, interrupt, heard, may
        )  # fmt: skip
    return problems, interrupt.number


def _compared(planned: Planned, problems: Sequence[str]) -> Compared:
    outcomes = {run: study.finished(run, planned.asked.data) for run in planned.runs}
    found = {run: outcome for run, outcome in outcomes.items() if outcome is not None}
    curves = tuple(outcome.curve(run) for run, outcome in found.items())
    if not any(curve.model == planned.asked.reference for curve in curves):
        reasons = f": {problems[0]}" if problems else ""
        raise CondetrError(f"no run of the reference {planned.asked.reference} is finished{reasons}")
    comparison = count(curves, planned.asked.reference)
    parameters = {run.model: outcome.parameters for run, outcome in found.items()}
    unfinished = tuple(run.name for run, outcome in outcomes.items() if outcome is None)
    return Compared(planned, curves, comparison, parameters, unfinished, tuple(problems))


def _devices(name: str) -> list[str]:
    """Where runs go in turn: all GPUs when one is asked for without a number."""
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] if name == "cuda" else [name]
