"""What a run records while it trains: the journal, the table of its epochs, their curves, and the trackers."""

from dataclasses import asdict
from typing import Any

from ..config import Config
from ..engine.journal import Journal
from ..engine.state import Position
from ..engine.trackers import Trackers
from .card import published
from .loop import StepResult
from .progress import Epoch, Message, Progress, Step
from .run_folder import RunFolder

LOG_EVERY = 20  # steps between two lines of the journal
METRICS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100")


class Record:
    """Written by the `first` process alone, which continues the journal of a resumed run at `position`; the others keep
    only `epochs`, those that they have trained."""

    def __init__(
        self, folder: RunFolder, config: Config, title: str, position: Position, trackers: tuple[str, ...],
        report: Progress, first: bool,
    ) -> None:  # fmt: skip
        self.folder, self.title = folder, title
        self.journal = Journal(folder.path / "journal.jsonl", position.journal) if first else None
        self.epochs = [_epoch(row) for row in self.journal.read("epoch")] if self.journal else []
        self.trackers = Trackers(
            trackers if first else (), folder.path, published(config).model_dump(), lambda line: report(Message(line))
        )

    @property
    def evaluated(self) -> dict[str, Any] | None:
        """The newest epoch with COCO metrics."""
        return next((asdict(epoch) for epoch in reversed(self.epochs) if epoch.ap is not None), None)

    def step(self, step: Step, result: StepResult, total: int) -> None:
        """Log a step, the run's `total`th, if it is one of those that are logged."""
        if self.journal and total % LOG_EVERY == 0:
            row = {"epoch": step.epoch, "step": total, **asdict(result), "lr": step.lr}
            row.pop("stop")
            self.journal.write("step", row)
            losses = {"loss": step.loss, "classes": step.classes, "l1": step.l1, "giou": step.giou}
            self.trackers.log(total, {f"train/{k}": v for k, v in losses.items()} | {"train/lr": step.lr})

    def epoch(
        self, position: Position, means: list[float], lr: float, scores: dict[str, float] | None, seconds: float
    ) -> Epoch:
        """Log the epoch of `position`: the means of its losses, and its COCO metrics where it was evaluated."""
        row = {
            "epoch": position.epoch + 1, "step": position.total,
            **dict(zip(("loss", "classes", "l1", "giou", "norm"), means)), "lr": lr,
            **{name: scores[name] if scores else None for name in METRICS},
            "best_ap": position.best_ap if position.best_epoch >= 0 else None, "seconds": round(seconds, 3),
        }  # fmt: skip
        self.epochs.append(_epoch(row))
        if self.journal:
            self.journal.write("epoch", row)
            self.write_progress(last=False)
        self.trackers.log(position.total, {f"valid/{k}": v for k, v in (scores or {}).items()})
        return self.epochs[-1]

    def write_progress(self, last: bool) -> None:
        """Write the table of the epochs and their curves; at the `last` time always, otherwise now and then."""
        if self.journal:
            self.folder.write_progress([asdict(epoch) for epoch in self.epochs], self.title, last)

    def close(self) -> None:
        """End the trackers' runs."""
        self.trackers.close()


def _epoch(row: dict[str, Any]) -> Epoch:
    return Epoch(**{key: value for key, value in row.items() if key != "kind"})
