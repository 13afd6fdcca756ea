"""How many processor cores this process may use."""

import os
from math import ceil
from pathlib import Path

CONTAINER = Path("/sys/fs/cgroup")


def cores() -> int:
    """At least one: those of its affinity, which `taskset` restricts, or all where there is none, and not more than the
    limit of its container."""
    try:
        own = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        own = os.cpu_count() or 1
    return max(1, min(own, _limit() or own))


def _limit() -> int | None:
    """The processor time that a container may use, in cores, rounded up: Docker's `--cpus`, Kubernetes' `limits.cpu`.
    None without one. Linux' control groups of version 2 have it in `cpu.max`: microseconds (or `max`) of a period."""
    try:
        time, period = (CONTAINER / "cpu.max").read_text(encoding="ascii").split()
        return ceil(int(time) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return None
