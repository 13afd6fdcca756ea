"""How many processor cores this process may use."""

import os


def cores() -> int:
    """At least one: those of its affinity, which containers and `taskset` restrict, or all where there is none."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1
