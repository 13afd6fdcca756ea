"""Compares contestants that take turns in one process, by their median times, and names the machine.

Each round runs every contestant once, so that other work on the machine affects all of them alike.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from condetr.plural import counted

Work = Callable[[], object]


def seconds(
    contestants: Mapping[str, Work], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """The median time of each contestant, in seconds, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, work in contestants.items():
            start = clock()
            work()
            if number:
                times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def row(what: str, ours: float, theirs: float, target: float | None, unit: str = "ms") -> str:
    """One line of a table: both figures, their ratio, and the largest ratio that is aimed at, if there is one."""
    ratio = ours / theirs
    aim = f"{target:.2f} {_sign(ratio <= target)}" if target else ""
    return f"| {what} | {ours:.4g} {unit} | {theirs:.4g} {unit} | **{ratio:.2f}** | {aim} |"


HEADER = "| | condetr | peer | ratio | target |\n|---|---|---|---|---|"


def _sign(met: bool) -> str:
    return "✓" if met else "✗"


def machine() -> str:
    model = "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    card = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{model} ({platform.machine()}, {os.cpu_count()} cores){card}; {counted(torch.get_num_threads(), 'thread')}; "
        f"torch {torch.__version__}; load {os.getloadavg()[0]:.1f}"
    )


def options(
    description: str | None, rounds: int, threads: int | None = None, **more: Callable[[str], object]
) -> argparse.Namespace:
    """`--rounds`, `--threads` and `--quick` (one round), which all benchmarks have, and `more` of one benchmark."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=threads or os.cpu_count())
    parser.add_argument("--quick", action="store_true", help="one round: checks that it runs, measures nothing")
    for name, kind in more.items():
        parser.add_argument(f"--{name}", type=kind)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.rounds = 1 if given.quick else given.rounds
    print(machine())
    return given
