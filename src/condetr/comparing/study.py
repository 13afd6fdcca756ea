"""What is to be run: a study's runs, which of them fit a budget, and the record that a resumed study must match."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config import Config, override, parse
from ..errors import CondetrError, ConfigError, DataError
from ..files import write_text
from ..training.plan import duration
from ..training.run_folder import RunFolder, differences
from .curve import Curve, Point
from .variants import flat

OVERHEAD = 5.0  # seconds to start a run and to evaluate its last weights once more
RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class Run:
    """One training of its own: a model, a complete schedule, one of the seeds. Equal runs share a folder."""

    model: str
    epochs: int
    replicate: int
    config: Config
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.model}/e{self.epochs}/s{self.replicate}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run leaves in `result.json`: its evaluations, and the data it was made on."""

    data: str
    points: tuple[Point, ...]
    interval: tuple[float, float] | None
    parameters: int

    def curve(self, run: Run) -> Curve:
        return Curve(run.model, run.epochs, run.replicate, self.points, self.interval)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for. The first line of `compare` with other words is refused in the same folder."""

    models: dict[str, Config]
    epochs: tuple[int, ...]
    seeds: int
    budget: float | None
    reference: str
    data: str

    def plain(self) -> dict[str, Any]:
        models = {name: config.model_dump(mode="json") for name, config in self.models.items()}
        return {**asdict(self), "models": models, "epochs": ",".join(map(str, self.epochs))}


@dataclass(frozen=True, slots=True)
class Fitted:
    """What of it fits the budget, and in words what was left out for it."""

    epochs: tuple[int, ...]
    seeds: int
    notes: tuple[str, ...]


def fit(per_epoch: Mapping[str, float], asked: Asked, jobs: int) -> Fitted:
    """Seeds go first, then the longest schedules, then epochs of the last one. `per_epoch` is in seconds.

    Raises ConfigError when not even one epoch fits.
    """
    epochs, seeds, notes = sorted(asked.epochs), asked.seeds, []
    limit = None if asked.budget is None else asked.budget * 60

    def seconds() -> float:
        return expected(per_epoch, epochs, seeds, jobs)

    if limit is None or seconds() <= limit:
        return Fitted(tuple(epochs), seeds, ())
    while seeds > 1 and seconds() > limit:
        seeds -= 1
    if seeds < asked.seeds:
        notes.append(f"{seeds} of {asked.seeds} seeds")
    while len(epochs) > 1 and seconds() > limit:
        notes.append(f"no schedule of {epochs.pop()} epochs")
    if seconds() > limit:
        left = limit * min(jobs, len(per_epoch)) - OVERHEAD * len(per_epoch)
        whole = int(left / sum(per_epoch.values()))
        if whole < 1:
            raise ConfigError(
                f"--budget {asked.budget:g}: not one epoch of {len(per_epoch)} models fits (about "
                f"{duration(expected(per_epoch, [1], 1, jobs))} are needed). Give more minutes, or fewer models"
            )
        notes.append(f"{whole} of {epochs[0]} epochs")
        epochs = [whole]
    return Fitted(tuple(epochs), seeds, tuple(notes))


def expected(per_epoch: Mapping[str, float], epochs: Sequence[int], seeds: int, jobs: int) -> float:
    """Seconds that all runs will take, side by side in `jobs` processes."""
    runs = len(per_epoch) * len(epochs) * seeds
    total = seeds * sum(epochs) * sum(per_epoch.values()) + OVERHEAD * runs
    return total / max(1, min(jobs, runs))


def runs(models: Mapping[str, Config], fitted: Fitted, root: Path) -> list[Run]:
    """All runs, seed by seed and short schedules first, so that a study cut short still compares like with like."""
    return list(_runs(models, fitted, root))


def _runs(models: Mapping[str, Config], fitted: Fitted, root: Path) -> Iterator[Run]:
    places: dict[str, Path] = {}
    for replicate in range(fitted.seeds):
        for epochs in fitted.epochs:
            for config in root.glob(f"*/e{epochs}/s{replicate}/config.json"):
                places.setdefault(_essence(RunFolder(config.parent).saved_config()), config.parent)
            for model, base in models.items():
                config_ = override(base, {"train.epochs": epochs, "train.seed": base.train.seed + replicate})
                own = root / model / f"e{epochs}" / f"s{replicate}"
                place = own if RunFolder(own).begun() else places.setdefault(_essence(config_), own)
                yield Run(model, epochs, replicate, config_, place)


def _essence(config: Config) -> str:
    """All settings but the recipe's name, which computes nothing."""
    values = config.model_dump(mode="json")
    return json.dumps({key: value for key, value in values.items() if key != "recipe"})


def finished(run: Run, data: str | None) -> Outcome | None:
    """What the run has left, if it is done. Raises CondetrError when its folder holds another run than this,
    or one on other data than `data` (None: whatever it is)."""
    folder, file = RunFolder(run.folder), run.folder / RESULT
    if folder.begun() and (others := differences(folder.saved_config(), run.config)):
        others = [line for line in others if not line.startswith("recipe ")]
        if others:
            raise ConfigError(
                f"{run.folder}: the run was started with other settings ({'; '.join(others[:3])}). "
                "Resume without them, or choose another --out"
            )
    if not file.exists():
        return None
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        points = tuple(Point(**point) for point in values["points"])
        interval = tuple(values["interval"]) if values["interval"] else None
        outcome = Outcome(values["data"], points, interval, values["parameters"])
    except (ValueError, KeyError, TypeError) as error:
        raise CondetrError(f"{file}: cannot be read ({error}). Remove it, and the run is done again") from None
    if data is not None and outcome.data != data:
        raise DataError(f"{run.folder}: the run was made on other data. Put the data back, or choose another --out")
    return outcome


def settle(folder: Path, asked: Asked) -> Fitted | None:
    """The plan of the study that this folder holds, None where it holds none.

    Raises CondetrError, naming the differences, when it holds a study that was asked for in other words.
    """
    file = folder / "study.json"
    if not file.exists():
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        models = {  # with the defaults of settings that the study is older than
            name: parse(values, str(file)).model_dump(mode="json") for name, values in record["asked"]["models"].items()
        }
        before, planned = dict(flat({**record["asked"], "models": models})), record["planned"]
        fitted = Fitted(tuple(planned["epochs"]), planned["seeds"], tuple(planned["notes"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CondetrError(f"{file}: cannot be read ({error}). Choose another --out") from None
    now = dict(flat(asked.plain()))
    if before.get("data") != now["data"]:
        raise DataError(
            f"{folder}: the data set has changed since the study began. Put it back, or choose another --out"
        )
    changed = [path for path in dict.fromkeys([*before, *now]) if before.get(path) != now.get(path)]
    if changed:
        named = _named(changed, before, now)
        raise ConfigError(
            f"{folder}: the study was started with other settings ({'; '.join(named[:3])}"
            f"{', …' if len(named) > 3 else ''}). Resume without them, or choose another --out"
        )
    return fitted


def _named(changed: Sequence[str], before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The differences in words: a model that came or went is one, not all of its settings."""
    models = [{path.split(".")[1] for path in side if path.startswith("models.")} for side in (before, now)]
    named = [f"{model} was compared, now it is not" for model in sorted(models[0] - models[1])]
    named += [f"{model} was not compared, now it is" for model in sorted(models[1] - models[0])]
    for path in changed:
        parts = path.split(".")
        if parts[0] != "models":
            named.append(f"{path} was {before.get(path)}, now {now.get(path)}")
        elif parts[1] in models[0] & models[1]:
            named.append(f"{parts[1]}:{'.'.join(parts[2:])} was {before.get(path)}, now {now.get(path)}")
    return named


def keep(folder: Path, asked: Asked, fitted: Fitted) -> None:
    write_text(folder / "study.json", json.dumps({"asked": asked.plain(), "planned": asdict(fitted)}, indent=1) + "\n")
