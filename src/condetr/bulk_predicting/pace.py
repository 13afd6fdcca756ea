"""How fast a run is, and how long it will still take."""

from collections import deque
from time import monotonic

from ..plural import counted

SPAN = 120.0  # seconds over which the pace is measured


class Pace:
    """Is given the number of finished images each time it changes."""

    def __init__(self) -> None:
        self.points: deque[tuple[float, int]] = deque()

    def add(self, done: int, now: float | None = None) -> None:
        self.points.append((monotonic() if now is None else now, done))
        while len(self.points) > 2 and self.points[-1][0] - self.points[1][0] > SPAN:
            self.points.popleft()

    @property
    def images_per_second(self) -> float | None:
        """None before the second result. The time until the first result, in which the workers start, does not
        count."""
        points = list(self.points)[1 if len(self.points) > 2 else 0 :]
        seconds = points[-1][0] - points[0][0] if points else 0.0
        return (points[-1][1] - points[0][1]) / seconds if seconds > 0 else None

    def line(self, total: int) -> str:
        """`1,200 of 5,000 images, 12.3 images/s, 5 min left`"""
        done = self.points[-1][1] if self.points else 0
        parts = [f"{done:,} of {counted(total, 'image')}"]
        pace = self.images_per_second
        if pace and done < total:
            shown = f"{pace:.3g}" if pace < 1000 else f"{pace:,.0f}"
            parts += [f"{shown} images/s", f"{time_of((total - done) / pace)} left"]
        return ", ".join(parts)


def time_of(seconds: float) -> str:
    """A time in its two largest units: `45 s`, `12 min`, `3 h 20 min`, `2 d 5 h`."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // (24 * 60)} d {minutes // 60 % 24} h"
