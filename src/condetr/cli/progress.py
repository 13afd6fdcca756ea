"""A progress bar on standard error, where that is a terminal; nothing of it is left when it is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from ..reports.terminal import redraws


@contextmanager
def progress_bar(what: str, console: Console, hidden: bool = False) -> Iterator[Callable[[float, int | None], None]]:
    """Shows a bar while the block runs. The block calls what it is given with the number done and the total, which may
    be None as long as it is not known."""
    if hidden or not redraws(console):  # rich before 14.3 prints an empty line for a disabled bar
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
