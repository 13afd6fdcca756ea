"""A study: what was requested, the runs that fit its budget, their results, and the record that allows to resume."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config import Config, override, parse
from ..errors import CondetrError, ConfigError, DataError
from ..files import write_text
from ..plural import counted
from ..recipes import with_published_drop
from ..training.plan import duration
from ..training.run_folder import RunFolder, differences
from .learning_curve import LearningCurve, Point
from .variants import flatten

OVERHEAD = 5.0  # seconds per run: its start, and the final evaluation of its last weights
RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class Run:
    """One training: a model, a complete schedule and one of the seeds, whose number from 0 is `replicate`.

    Runs with equal settings share a folder.
    """

    model: str
    epochs: int
    replicate: int
    config: Config
    folder: Path

    @property
    def name(self) -> str:
        """`conditional_detr/e12/s0`: model, epochs, and the number of the seed from 0."""
        return f"{self.model}/e{self.epochs}/s{self.replicate}"


@dataclass(frozen=True, slots=True)
class RunResult:
    """The `result.json` of a finished run: its evaluations, and the fingerprint of the data it was trained on."""

    data: str
    points: tuple[Point, ...]
    interval: tuple[float, float] | None
    parameters: int

    def curve(self, run: Run) -> LearningCurve:
        """The result as the learning curve of its run."""
        return LearningCurve(run.model, run.epochs, run.replicate, self.points, self.interval)


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments that define a study. Another request in the folder of a study is refused."""

    models: dict[str, Config]
    epochs: tuple[int, ...]
    seeds: int
    budget: float | None
    reference: str
    data: str

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, with the whole config of each model."""
        models = {name: config.model_dump(mode="json") for name, config in self.models.items()}
        return {**asdict(self), "models": models, "epochs": ",".join(map(str, self.epochs))}


@dataclass(frozen=True, slots=True)
class Schedule:
    """The epochs and seeds that fit the budget; `notes` describe what was left out."""

    epochs: tuple[int, ...]
    seeds: int
    notes: tuple[str, ...]


def fit_budget(per_epoch: Mapping[str, float], request: Request, jobs: int) -> Schedule:
    """Leave out seeds first, then the longest schedules, then epochs of the last one, until the rest fits the budget.

    `per_epoch` are seconds by model. Raises ConfigError when not even one epoch of each model fits.
    """
    epochs, seeds, notes = sorted(request.epochs), request.seeds, []
    limit = None if request.budget is None else request.budget * 60

    def seconds() -> float:
        return expected_seconds(per_epoch, epochs, seeds, jobs)

    if limit is None or seconds() <= limit:
        return Schedule(tuple(epochs), seeds, ())
    while seeds > 1 and seconds() > limit:
        seeds -= 1
    if seeds < request.seeds:
        notes.append(f"{seeds} of {counted(request.seeds, 'seed')}")
    while len(epochs) > 1 and seconds() > limit:
        notes.append(f"no schedule of {counted(epochs.pop(), 'epoch')}")
    if seconds() > limit:
        left = limit * min(jobs, len(per_epoch)) - OVERHEAD * len(per_epoch)
        whole = int(left / sum(per_epoch.values()))
        if whole < 1:
            raise ConfigError(
                f"`budget={request.budget:g}`: not one epoch of {counted(len(per_epoch), 'model')} fits (about "
                f"{duration(expected_seconds(per_epoch, [1], 1, jobs))} are needed). Give more minutes, or "
                "compare fewer models"
            )
        notes.append(f"{whole} of {counted(epochs[0], 'epoch')}")
        epochs = [whole]
    return Schedule(tuple(epochs), seeds, tuple(notes))


def expected_seconds(per_epoch: Mapping[str, float], epochs: Sequence[int], seeds: int, jobs: int) -> float:
    """Seconds that all runs will take, `jobs` of them at a time."""
    runs = len(per_epoch) * len(epochs) * seeds
    total = seeds * sum(epochs) * sum(per_epoch.values()) + OVERHEAD * runs
    return total / max(1, min(jobs, runs))


def all_runs(models: Mapping[str, Config], schedule: Schedule, root: Path) -> list[Run]:
    """All runs, by seed and then by schedule, short ones first: an interrupted study then still has pairs of runs."""
    return list(_runs(models, schedule, root))


def _runs(models: Mapping[str, Config], schedule: Schedule, root: Path) -> Iterator[Run]:
    folders: dict[str, Path] = {}
    for replicate in range(schedule.seeds):
        for epochs in schedule.epochs:
            for config in root.glob(f"*/e{epochs}/s{replicate}/config.json"):
                folders.setdefault(_computed(RunFolder(config.parent).saved_config()), config.parent)
            for model, base in models.items():
                config_ = override(base, {"train.epochs": epochs, "train.seed": base.train.seed + replicate})
                config_ = with_published_drop(config_)
                own = root / model / f"e{epochs}" / f"s{replicate}"
                folder = own if RunFolder(own).begun() else folders.setdefault(_computed(config_), own)
                yield Run(model, epochs, replicate, config_, folder)


def _computed(config: Config) -> str:
    """All settings but the recipe's name, which changes no result."""
    values = config.model_dump(mode="json")
    return json.dumps({key: value for key, value in values.items() if key != "recipe"})


def read_result(run: Run, data: str | None) -> RunResult | None:
    """The result of the run, None when it is not finished.

    Raises CondetrError when its folder has a run with other settings, or one on data with another fingerprint than
    `data` (None: any).
    """
    folder, file = RunFolder(run.folder), run.folder / RESULT
    if folder.begun() and (others := differences(folder.saved_config(), run.config)):
        others = [line for line in others if not line.startswith("recipe ")]
        if others:
            raise ConfigError(
                f"{run.folder}: the run was started with other settings ({'; '.join(others[:3])}). "
                "Resume without them, or choose another `out`"
            )
    if not file.exists():
        return None
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        points = tuple(Point(**point) for point in values["points"])
        interval = tuple(values["interval"]) if values["interval"] else None
        result = RunResult(values["data"], points, interval, values["parameters"])
    except (ValueError, KeyError, TypeError) as error:
        raise CondetrError(f"{file}: cannot be read ({error}). Remove it to repeat the run") from None
    if data is not None and result.data != data:
        raise DataError(f"{run.folder}: the run was trained on other data. Restore the data, or choose another `out`")
    return result


def saved_schedule(folder: Path, request: Request) -> Schedule | None:
    """The schedule of the study in this folder, None where there is no study.

    Raises CondetrError, naming the differences, when the study was started with another request.
    """
    file = folder / "study.json"
    if not file.exists():
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        saved, values = (  # "asked" and "planned" are the keys of older files
            record[key if key in record else old] for key, old in (("request", "asked"), ("schedule", "planned"))
        )
        models = {  # with the defaults of settings that are newer than the study
            name: parse(config, str(file)).model_dump(mode="json") for name, config in saved["models"].items()
        }
        before = dict(flatten({**saved, "models": models}))
        schedule = Schedule(tuple(values["epochs"]), values["seeds"], tuple(values["notes"]))
    except ConfigError:  # a ValueError that names the file
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CondetrError(f"{file}: cannot be read ({error}). Choose another `out`") from None
    now = dict(flatten(request.to_dict()))
    if before.get("data") != now["data"]:
        raise DataError(
            f"{folder}: the data set has changed since the study began. Restore it, or choose another `out`"
        )
    changed = [path for path in dict.fromkeys([*before, *now]) if before.get(path) != now.get(path)]
    if changed:
        named = _described(changed, before, now)
        raise ConfigError(
            f"{folder}: the study was started with other settings ({'; '.join(named[:3])}"
            f"{', …' if len(named) > 3 else ''}). Resume without them, or choose another `out`"
        )
    return schedule


def _described(changed: Sequence[str], before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The differences as texts. An added or removed model is one difference, not one for each of its settings."""
    models = [{path.split(".")[1] for path in side if path.startswith("models.")} for side in (before, now)]
    texts = [f"{model} was compared, now it is not" for model in sorted(models[0] - models[1])]
    texts += [f"{model} was not compared, now it is" for model in sorted(models[1] - models[0])]
    for path in changed:
        parts = path.split(".")
        if parts[0] != "models":
            texts.append(f"{path} was {before.get(path)}, now {now.get(path)}")
        elif parts[1] in models[0] & models[1]:
            texts.append(f"{parts[1]}:{'.'.join(parts[2:])} was {before.get(path)}, now {now.get(path)}")
    return texts


def save_study(folder: Path, request: Request, schedule: Schedule) -> None:
    """Write `study.json`, which `saved_schedule` reads."""
    values = {"request": request.to_dict(), "schedule": asdict(schedule)}
    write_text(folder / "study.json", json.dumps(values, indent=1) + "\n")
