"""The processes of one run, and the collective operations between them. The only file that uses torch.distributed.

Started by `torchrun`, each process reads its rank from the environment; otherwise the run has one process.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor, distributed

from ..cpu.foreach import copy_
from ..errors import CondetrError, first_line
from ..shapes import Int64

TIMEOUT = timedelta(minutes=30)  # how long the others wait for a process that evaluates or writes


class LostProcess(CondetrError):
    """Another process of this run ended; its own standard error has the reason."""


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's `rank` among the `world` processes of the run; `local` is its rank on its own machine."""

    rank: int
    world: int
    local: int

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and reports progress (rank 0)."""
        return self.rank == 0

    def part(self, number: int) -> int:
        """The index, within the whole step, of this process's micro-batch `number` (the loader's order)."""
        return self.rank + number * self.world

    def add(self, values: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes: one all-reduce for all tensors, in a fixed order."""
        if self.world == 1:
            return
        flat = torch.cat([value.detach().flatten() for value in values])
        self._all_reduce(flat)
        parts = flat.split([value.numel() for value in values])
        copy_(list(values), [part.view_as(value) for part, value in zip(parts, values)])

    def gather(self, values: Int64[np.ndarray, " n"], device: torch.device) -> list[Int64[np.ndarray, " m"]]:
        """The values of every process, ordered by rank; each process gets all of them. Integers stay exact."""
        if self.world == 1:
            return [values]
        lengths = torch.zeros(self.world, dtype=torch.int64, device=device)
        lengths[self.rank] = len(values)
        self._all_reduce(lengths)
        rows = torch.zeros(self.world, int(lengths.max()), dtype=torch.int64, device=device)
        rows[self.rank, : len(values)] = torch.from_numpy(values).to(device)
        self._all_reduce(rows)
        return [row[:length].cpu().numpy() for row, length in zip(rows, lengths.tolist())]

    def gather_texts(self, texts: Sequence[str], device: torch.device) -> list[str]:
        """The texts of every process, those of the first one first; each process gets all of them."""
        values = np.frombuffer(json.dumps(list(texts)).encode(), np.uint8).astype(np.int64)
        return [text for part in self.gather(values, device) for text in json.loads(part.astype(np.uint8).tobytes())]

    @contextmanager
    def first_process_first(self) -> Iterator[None]:
        """The first process runs the block while the others wait; then the others run it."""
        if not self.first:
            self._wait()
        yield
        if self.first:
            self._wait()

    def _wait(self) -> None:
        if self.world > 1:
            with _reported():
                distributed.barrier()

    def _all_reduce(self, tensor: Tensor) -> None:
        with _reported():
            distributed.all_reduce(tensor)


SINGLE = Processes(rank=0, world=1, local=0)


def is_single() -> bool:
    """Whether this process was started without torchrun, or by it as the only one."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ


@contextmanager
def process_group(cuda: bool) -> Iterator[Processes]:
    """The processes that `torchrun` started, connected while the block runs; or this process alone."""
    if is_single():
        yield SINGLE
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if cuda:
        torch.cuda.set_device(local)  # before the first NCCL operation, which uses the current device
    with _reported():
        distributed.init_process_group("nccl" if cuda else "gloo", timeout=TIMEOUT)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), local)
    finally:
        distributed.destroy_process_group()


@contextmanager
def _reported() -> Iterator[None]:
    """Turn a broken connection into one line; the process that ended reports the cause."""
    try:
        yield
    except RuntimeError as error:
        raise LostProcess(f"another process of this run ended or cannot be reached ({first_line(error)})") from None
