"""A finished run as its evaluations: when what was reached."""

from dataclasses import dataclass
from itertools import pairwise
from statistics import median

WINDOW = 3  # evaluations in the running median that decides what has been reached


@dataclass(frozen=True, slots=True)
class Point:
    """One evaluation: after how many epochs, images and seconds of training, and COCO's AP and AP50 on `valid`."""

    epoch: int
    images: int
    seconds: float
    ap: float
    ap50: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A finished run, a complete schedule of `epochs`: its evaluations in order, the last one after the last epoch.

    `interval` is where AP would lie on other images (bootstrap), where that was computed.
    """

    model: str
    epochs: int
    seed: int
    points: tuple[Point, ...]
    interval: tuple[float, float] | None = None

    @property
    def smooth(self) -> list[float | None]:
        """The running median of the last evaluations; None until there are enough of them."""
        aps = [point.ap for point in self.points]
        return [median(aps[i + 1 - WINDOW : i + 1]) if i + 1 >= WINDOW else None for i in range(len(aps))]

    @property
    def best(self) -> float:
        """The best value of the running median; of the AP itself where there are too few evaluations for one."""
        values = [value for value in self.smooth if value is not None]
        return max(values or [point.ap for point in self.points])

    @property
    def mean(self) -> float:
        """The mean AP over the epochs, by trapezoids from AP 0 before the first: high where learning is early."""
        places = [(0, 0.0), *((point.epoch, point.ap) for point in self.points)]
        return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(places)) / places[-1][0]

    def reached(self, target: float) -> Point | None:
        """The first evaluation at which the running median is at least `target`; None when it never is."""
        there = (point for point, value in zip(self.points, self.smooth) if value is not None and value >= target)
        return next(there, None)
