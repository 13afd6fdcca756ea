"""Experiment trackers, each an optional dependency. A tracker that fails is disabled; the run continues."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import CondetrError, first_line


class Tracker(ABC):
    """One run, as one tracker records it."""

    @abstractmethod
    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class TensorBoard(Tracker):
    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class WeightsAndBiases(Tracker):
    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import wandb

        self.run = wandb.init(project="condetr", name=folder.name, dir=str(folder), config=dict(settings))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        self.run.finish()


class Mlflow(Tracker):
    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import mlflow

        self.mlflow = mlflow
        mlflow.set_experiment("condetr")
        mlflow.start_run(run_name=folder.name)
        mlflow.log_dict(dict(settings), "config.json")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        self.mlflow.end_run()


class Trackio(Tracker):
    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import trackio

        self.trackio = trackio
        trackio.init(project="condetr", name=folder.name, config=dict(settings))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.trackio.log(dict(values), step=step)

    def close(self) -> None:
        self.trackio.finish()


TRACKERS: dict[str, Callable[[Path, Mapping[str, Any]], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": Mlflow,
    "trackio": Trackio,
}


class Trackers:
    """Several trackers as one that never raises: a failure is reported once, in one line, and disables its tracker."""

    def __init__(
        self, names: tuple[str, ...], folder: Path, settings: Mapping[str, Any], report: Callable[[str], None]
    ) -> None:
        self.active: dict[str, Tracker] = {}
        self.report = report
        for name in names:
            try:
                self.active[name] = TRACKERS[name](folder, settings)
            except ImportError:
                report(f"{name} is not installed and records nothing. Install it: pip install 'condetr[{name}]'")
            except Exception as error:  # a tracker may raise anything; the run continues
                report(f"{name} failed to start and records nothing ({first_line(error)})")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._each(lambda tracker: tracker.log(step, values))

    def close(self) -> None:
        self._each(lambda tracker: tracker.close())

    def _each(self, act: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self.active.items()):
            try:
                act(tracker)
            except Exception as error:  # as above
                del self.active[name]
                self.report(f"{name} failed and records nothing more ({first_line(error)})")


def check_names(names: tuple[str, ...]) -> None:
    """Raises CondetrError for an unknown tracker."""
    for name in names:
        if name not in TRACKERS:
            raise CondetrError(f"`trackers={name!r}`: no such tracker. There are {', '.join(TRACKERS)}")
