"""Train models on the same data with the same seeds, and compare how fast they learn."""

import time
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import torch

from ..arguments import check_flags, check_progress, instance_of, names_of, path_of, whole_number, wrong
from ..datasets.dataset import DataSet
from ..datasets.open import check_exists, whole
from ..engine.device import check_device
from ..engine.interrupt import deferred_signals
from ..engine.lock import locked
from ..errors import CondetrError, ConfigError, DataError, SignalError
from ..examining.cache import facts_folder
from ..examining.examine import examine
from ..files import check_writable
from ..training.data import fingerprint
from ..training.length import resolve_epochs
from ..training.resolution import resolve_size
from . import study
from .comparison import Comparison
from .convergence import analyse
from .plan import Plan, Progress
from .runner import EpochDone, RunEnded, run_all
from .study import Request, Run, Schedule
from .timing import seconds_per_epoch
from .variants import configs, default_base

HELD_OUT_SEED = 42  # the same held-out images for all models and seeds


class Interrupted(SignalError):
    """The study was interrupted by a signal; its runs have saved their state."""


def compare(
    data: Path | str,
    models: str | Sequence[str],
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
    progress: Progress | None = None,
) -> Comparison:
    """Train every model with every schedule and seed, and write `report.html` and `comparison.json` to `out`.

    `models` are recipes or variants of the base `recipe`, in a list or as text with commas. Keys of `settings` are a
    `path` for all models or `MODEL:path` for one. Each of `epochs` is a complete schedule. `budget` is in minutes. The
    runs are in `runs` (default: `out`), where other studies can use them. `follow_outside` is as for `examine`. The
    same call resumes an interrupted study.

    `progress` is called with the plan, after each epoch, and when a run ends.

    Each run is a process that imports the calling script: call this under `if __name__ == "__main__":`.

    Raises CondetrError, in one line, for what the user can fix, and Interrupted after SIGTERM or Ctrl-C.
    """
    path, out = path_of(data, "data", DataError), path_of(out, "out")
    root = path_of(runs, "runs") if runs is not None else out
    models = names_of(models.split(",") if isinstance(models, str) else models, "models")
    if epochs is not None:
        if isinstance(epochs, str) or not isinstance(epochs, Iterable):
            raise wrong(epochs, "epochs", "a list of whole numbers")
        epochs = [whole_number(one, "epochs", 1) for one in epochs]
    seeds, jobs = whole_number(seeds, "seeds", 1), whole_number(jobs, "jobs", 1)
    for name, number in (("budget", budget), ("hold_out", hold_out)):
        instance_of(0 if number is None else number, name, Real, "a number")
    if budget is not None and not budget > 0:
        raise ConfigError(f"`budget={budget}`: must be above 0")
    if hold_out is not None and not 0 < hold_out < 1:
        raise ConfigError(f"`hold_out={hold_out}`: must be a number between 0 and 1")
    instance_of({} if settings is None else settings, "settings", Mapping, "a dict of settings")
    names_of(settings or {}, "settings")
    check_progress(progress)
    check_flags(follow_outside=follow_outside)
    check_exists(path)
    device = check_device(device)
    _check_models(configs(models, recipe or "nano", settings or {}), reference)
    check_writable(out)
    dataset = _open(path, hold_out, follow_outside)
    base = recipe or default_base(dataset, device)
    request = _request(dataset, configs(models, base, settings or {}), epochs, seeds, budget, reference)
    with locked(out):
        plan = _plan(dataset, request, out, root, jobs, device)
        report = progress if progress is not None else _silent
        report(plan)
        problems, signal = _train(plan, report)
        stopped = f"stopped; the same command resumes the study in {out}"
        try:
            comparison = _comparison(plan, problems)
        except CondetrError:
            if signal:
                raise Interrupted(stopped, signal) from None
            raise
        comparison.write(out)
    if signal:
        raise Interrupted(f"{stopped}; its report.html has the finished runs", signal)
    return comparison


def _open(path: Path, hold_out: float | None, follow_outside: bool = False) -> DataSet:
    dataset = examine(path, follow_outside=follow_outside, cache=facts_folder()).trainable()
    if hold_out is not None:
        return dataset.with_held_out(hold_out, HELD_OUT_SEED)
    if "valid" not in dataset.splits:
        way_out = whole(path) or ". Add one, or hold out a part of the training images with `hold_out=0.15`"
        raise DataError(f"{path}: no split 'valid' to compare on{way_out}")
    if not any((~sample.truth.crowd).any() for sample in dataset.split("valid")):
        raise DataError(
            f"{path}: the split 'valid' has no labelled object: there is no AP to compare. Label its images"
        )
    return dataset


def _check_models(models: Mapping[str, Any], reference: str | None) -> None:
    if len(models) < 2:
        raise ConfigError("`models`: a comparison needs two models or more")
    if reference is not None and reference not in models:
        raise ConfigError(f"`reference={reference!r}`: not among the models. There are {', '.join(models)}")


def _request(
    dataset: DataSet, models: dict[str, Any], epochs: Sequence[int] | None, seeds: int, budget: float | None,
    reference: str | None,
) -> Request:  # fmt: skip
    first = next(iter(models))
    images = len(dataset.split("train"))
    models = {name: resolve_epochs(resolve_size(config, dataset), images) for name, config in models.items()}
    schedules = tuple(sorted(set(epochs or [models[first].train.epochs])))
    return Request(models, schedules, seeds, budget, reference or first, fingerprint(dataset))


def _plan(dataset: DataSet, request: Request, out: Path, root: Path, jobs: int, device: str) -> Plan:
    """The plan that the study was started with, or a new one; the time of the remaining runs is measured."""

    def unfinished(schedule: Schedule) -> list[Run]:
        runs = study.all_runs(request.models, schedule, root)
        return [run for run in runs if study.read_result(run, request.data) is None]

    saved = study.saved_schedule(out, request)
    schedule = saved or Schedule(request.epochs, request.seeds, ())
    measured = {run.model for run in unfinished(schedule)}
    if saved is None and request.budget is not None:
        measured |= set(request.models)  # what fits the budget depends on all of them
    per_epoch = {
        name: seconds_per_epoch(dataset, config, device) for name, config in request.models.items() if name in measured
    }
    if saved is None:
        schedule = study.fit_budget(per_epoch, request, jobs)
        study.save_study(out, request, schedule)
    whole, remaining = study.all_runs(request.models, schedule, root), unfinished(schedule)
    distinct = {run.folder: run for run in remaining}.values()
    total = sum(run.epochs * per_epoch[run.model] + study.OVERHEAD for run in distinct)
    seconds = total / min(jobs, len(distinct)) if distinct else None
    return Plan(dataset, request, schedule, tuple(whole), tuple(remaining), seconds, per_epoch, jobs, device, out)


def _silent(event: object) -> None:
    """For a caller who wants no progress."""


def _train(plan: Plan, progress: Progress) -> tuple[list[str], int]:
    """Train the remaining runs; returns the reasons why some did not finish, and the number of a signal, or 0."""
    started, problems = time.monotonic(), []
    measured: dict[str, float] = {}  # seconds per epoch of finished runs, by model

    def may_start(run: Run) -> bool:
        """Whether the run still fits the budget."""
        if plan.request.budget is None:
            return True
        needed = measured.get(run.model, plan.per_epoch[run.model]) * run.epochs + study.OVERHEAD
        if time.monotonic() - started + needed <= plan.request.budget * 60 * 1.1:
            return True
        problems.append(f"{run.name}: it no longer fits the budget; the same command resumes the study")
        return False

    def report(event: EpochDone | RunEnded) -> None:
        if isinstance(event, RunEnded) and event.problem is None:
            measured[event.run.model] = event.seconds / event.run.epochs
        if isinstance(event, RunEnded) and event.problem is not None:
            if interrupt.number:
                return
            problems.append(f"{event.run.name}: {event.problem}")
        progress(event)

    distinct = list({run.folder: run for run in plan.remaining}.values())
    with deferred_signals() as interrupt:
        run_all(distinct, plan.data, _devices(plan.device), plan.jobs, interrupt, report, may_start)
    return problems, interrupt.number


def _comparison(plan: Plan, problems: Sequence[str]) -> Comparison:
    results = {run: study.read_result(run, plan.request.data) for run in plan.runs}
    finished = {run: result for run, result in results.items() if result is not None}
    curves = tuple(result.curve(run) for run, result in finished.items())
    if not any(curve.model == plan.request.reference for curve in curves):
        reasons = f": {problems[0]}" if problems else ""
        raise CondetrError(f"no run of the reference {plan.request.reference} is finished{reasons}")
    convergence = analyse(curves, plan.request.reference)
    parameters = {run.model: result.parameters for run, result in finished.items()}
    unfinished = tuple(run.name for run, result in results.items() if result is None)
    return Comparison(plan, curves, convergence, parameters, unfinished, tuple(problems))


def _devices(name: str) -> list[str]:
    """The devices to distribute runs over: all GPUs for `cuda` without a number."""
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] if name == "cuda" else [name]
