"""Facts about this machine that change how a run computes, not what it computes."""

from dataclasses import dataclass

import torch

from ..config import Config
from ..engine.device import local_device
from ..engine.distributed import Processes
from ..engine.processors import cores
from ..errors import ConfigError

ENOUGH_PIXELS = 640 * 640  # a CPU is no faster with more pixels at a time than these


@dataclass(frozen=True, slots=True)
class Machine:
    """`workers` are threads that load images, `micro_batch` is the number of images in one forward pass, and
    `cache_shares` the number of processes on this machine that cache images, each in its share of the memory."""

    device: torch.device
    workers: int
    micro_batch: int
    cache_shares: int = 1


def choose_machine(
    device: str, workers: int | None, micro_batch: int | None, config: Config, processes: Processes,
    cache_shares: int = 1,
) -> Machine:  # fmt: skip
    """The machine's settings, chosen where they are None.

    A CPU takes large images one by one: together they are no faster and need more memory. Raises ConfigError where a
    batch has not one image for each process.
    """
    if config.train.batch < processes.world:
        raise ConfigError(
            f"fewer images than processes, of which there are {processes.world}. Start fewer, or set "
            f"`batch={processes.world}`",
            setting="train.batch", value=str(config.train.batch),
        )  # fmt: skip
    if workers is None:
        workers = min(16, cores() // processes.world) if device != "cpu" else 1
    if micro_batch is None:
        micro_batch = -(-config.train.batch // processes.world)
        if device == "cpu":
            micro_batch = min(micro_batch, -(-ENOUGH_PIXELS // config.data.size**2))
    return Machine(local_device(device, processes), workers, micro_batch, cache_shares * processes.world)
