"""What a training returns: a `Run`, or `Stopped` when a signal ended it early."""

from dataclasses import dataclass
from pathlib import Path

from ..config import Config
from ..errors import SignalError
from ..plural import counted
from .progress import Epoch


@dataclass(frozen=True, slots=True)
class Run:
    """A finished training.

    `folder` is the run's folder and `weights` the folder of its best weights, the last ones where nothing was
    evaluated. `epochs` has the losses, learning rate and COCO metrics of every epoch, ready to plot. `best_ap` was
    reached in epoch `best_epoch`, counted from 1; both are None where nothing was evaluated. `config` is the resolved
    config. `main_process` is False in all processes of `torchrun` but the first, which alone writes files.
    """

    folder: Path
    weights: Path
    epochs: tuple[Epoch, ...]
    best_ap: float | None
    best_epoch: int | None
    config: Config
    main_process: bool = True

    def __fspath__(self) -> str:
        """The folder of its weights: a run can be given wherever weights can, as in `evaluate(run, data)`."""
        return str(self.weights)

    def __repr__(self) -> str:
        best = "" if self.best_ap is None else f", best AP {self.best_ap:.3f} in epoch {self.best_epoch}"
        return f"<Run in {self.folder}: {counted(len(self.epochs), 'epoch')}{best}>"


class Stopped(SignalError):
    """A signal ended the run, after its state was saved."""
