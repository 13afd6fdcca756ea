"""The plan of a study, before its first run, and what is reported while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..datasets.dataset import DataSet
from .runner import EpochDone, RunEnded
from .study import Request, Run, Schedule


@dataclass(frozen=True, slots=True)
class Plan:
    """The runs of a study. `remaining` are those that are not finished; `seconds` is an estimate for them (None when
    there is none); `per_epoch` are seconds by model."""

    data: DataSet
    request: Request
    schedule: Schedule
    runs: tuple[Run, ...]
    remaining: tuple[Run, ...]
    seconds: float | None
    per_epoch: dict[str, float]
    jobs: int
    device: str
    out: Path


Event = Plan | EpochDone | RunEnded
Progress = Callable[[Event], None]
