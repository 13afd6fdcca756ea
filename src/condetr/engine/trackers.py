"""Experiment trackers, each optional to install. A tracker that fails costs its own record, never the run."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import CondetrError


class Tracker(ABC):
    """One run in one tracker."""

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
    """Several trackers as one that never raises: what fails is told once, in one line, and left out from then on."""

    def __init__(
        self, names: tuple[str, ...], folder: Path, settings: Mapping[str, Any], tell: Callable[[str], None]
    ) -> None:
        self.live: dict[str, Tracker] = {}
        self.tell = tell
        for name in names:
            try:
                self.live[name] = TRACKERS[name](folder, settings)
            except ImportError:
                tell(f"{name} is not installed, so nothing goes there: pip install 'condetr[{name}]'")
            except Exception as error:  # whatever a tracker's start may raise, the run goes on
                tell(f"{name} does not start, so nothing goes there ({_line(error)})")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._each(lambda tracker: tracker.log(step, values))

    def close(self) -> None:
        self._each(lambda tracker: tracker.close())

    def _each(self, act: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self.live.items()):
            try:
                act(tracker)
            except Exception as error:  # as above
                del self.live[name]
                self.tell(f"{name} fails, so nothing more goes there ({_line(error)})")


def check_names(names: tuple[str, ...]) -> None:
    """Raises CondetrError for a tracker that nobody knows."""
    for name in names:
        if name not in TRACKERS:
            raise CondetrError(f"--track {name}: no such tracker. There are {', '.join(TRACKERS)}")


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
