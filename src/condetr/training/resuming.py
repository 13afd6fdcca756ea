"""Messages about a run that is resumed: where it continues, or that it is already finished."""

from ..engine.schedule import Schedule
from ..engine.state import Position
from ..plural import counted


def resuming_note(position: Position, epochs: int, schedule: Schedule, before: float) -> str:
    """A line about where a run of now `epochs` continues and, where a schedule of another length began it, about its
    learning rate, which was `before` in the last epoch (0: unknown)."""
    where = f"resuming at epoch {position.epoch + 1}"
    if position.epochs in (0, epochs):
        return where
    lr = schedule(position.epoch, position.total)
    changed = f"; it was {before:.2g} in epoch {position.epoch} and is {lr:.2g} now" if before else ""
    decay = f" ({schedule.decay})" if schedule.decay else ""
    return (
        f"{where} of {epochs}, not of {position.epochs} as before: the learning rate follows the schedule "
        f"of {counted(epochs, 'epoch')}{decay}{changed}"
    )


def finished_note(epoch: int, epochs: int, patience: int) -> str:
    """A line about a run that has ended after `epoch` of its `epochs`, and how it can be trained longer."""
    if epoch >= epochs:
        why, longer = "", f"`resume=True, epochs={2 * epoch}`"
    else:
        why = f": no better AP in {counted(patience, 'epoch')}"
        longer = "`resume=True, settings={'train.patience': 0}`"
    return f"this run is already finished ({counted(epoch, 'epoch')}{why}); {longer} trains it longer"
