"""The processes of one run: who they are, and the three things they say to each other. The only file that says rank.

Started by `torchrun`, each process finds its place in the environment; alone, it is the first and the last.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor, distributed

from ..cpu.foreach import copy_
from ..errors import CondetrError
from ..shapes import Int64

PATIENCE = timedelta(minutes=30)  # for a process that is late, as when it alone evaluates or writes


class LostProcess(CondetrError):
    """Another process of this run ended; what it said is on its own standard error."""


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's place among the `world` of them; `local` is its place on its own machine."""

    rank: int
    world: int
    local: int

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.rank == 0

    def part(self, number: int) -> int:
        """Which part of the whole step this process's `number`-th part is (as the loader deals them out)."""
        return self.rank + number * self.world

    def add(self, values: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes: one message for all of them, in a fixed order."""
        if self.world == 1:
            return
        flat = torch.cat([value.detach().flatten() for value in values])
        self._all_reduce(flat)
        parts = flat.split([value.numel() for value in values])
        copy_(list(values), [part.view_as(value) for part, value in zip(parts, values)])

    def gather(self, values: Int64[np.ndarray, " n"], device: torch.device) -> list[Int64[np.ndarray, " m"]]:
        """The values of every process, in the order of the processes, in each of them. Integers stay exact."""
        if self.world == 1:
            return [values]
        lengths = torch.zeros(self.world, dtype=torch.int64, device=device)
        lengths[self.rank] = len(values)
        self._all_reduce(lengths)
        rows = torch.zeros(self.world, int(lengths.max()), dtype=torch.int64, device=device)
        rows[self.rank, : len(values)] = torch.from_numpy(values).to(device)
        self._all_reduce(rows)
        return [row[:length].cpu().numpy() for row, length in zip(rows, lengths.tolist())]

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first process does the block while the others wait, then they do it too."""
        if not self.first:
            self._wait()
        yield
        if self.first:
            self._wait()

    def _wait(self) -> None:
        if self.world > 1:
            with _named():
                distributed.barrier()

    def _all_reduce(self, tensor: Tensor) -> None:
        with _named():
            distributed.all_reduce(tensor)


ALONE = Processes(rank=0, world=1, local=0)


def alone() -> bool:
    """Whether this process was started as the only one."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ


@contextmanager
def joined(cuda: bool) -> Iterator[Processes]:
    """The processes that `torchrun` started, connected for the length of the block; or this one alone."""
    if alone():
        yield ALONE
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if cuda:
        torch.cuda.set_device(local)  # before NCCL's first message, which goes through the current device
    with _named():
        distributed.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), local)
    finally:
        distributed.destroy_process_group()


@contextmanager
def _named() -> Iterator[None]:
    """A broken connection as one line: whatever broke it is told by the process that ended."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise LostProcess(f"another process of this run ended or cannot be reached ({reason})") from None
