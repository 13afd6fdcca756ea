"""The evaluations of a finished run as a learning curve, and when it reached a level."""

from dataclasses import dataclass
from itertools import pairwise
from statistics import median

WINDOW = 3  # evaluations in the running median that decides when a level is reached


@dataclass(frozen=True, slots=True)
class Point:
    """One evaluation: the epochs, images and seconds of training before it, and COCO's AP and AP50 on `valid`."""

    epoch: int
    images: int
    seconds: float
    ap: float
    ap50: float


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """A finished run, a complete schedule of `epochs`: its evaluations in order, the last one after the last epoch.

    `interval` is the bootstrap interval of the final AP over the images, where it was computed.
    """

    model: str
    epochs: int
    seed: int
    points: tuple[Point, ...]
    interval: tuple[float, float] | None = None

    @property
    def running_median(self) -> list[float | None]:
        """The median AP of each evaluation and the two before it; None for the first two."""
        aps = [point.ap for point in self.points]
        return [median(aps[i + 1 - WINDOW : i + 1]) if i + 1 >= WINDOW else None for i in range(len(aps))]

    @property
    def best(self) -> float:
        """The largest running median; with fewer evaluations than it needs, the largest AP."""
        values = [value for value in self.running_median if value is not None]
        return max(values or [point.ap for point in self.points])

    @property
    def mean_ap(self) -> float:
        """The mean AP over the epochs, by trapezoids from AP 0 before the first: larger when learning is early."""
        points = [(0, 0.0), *((point.epoch, point.ap) for point in self.points)]
        return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points)) / points[-1][0]

    @property
    def seconds_per_epoch(self) -> float:
        """The mean over the epochs, evaluations included."""
        return self.points[-1].seconds / self.points[-1].epoch

    def first_reaching(self, level: float) -> Point | None:
        """The first evaluation at which the running median is at least `level`; None when it never is."""
        reached = (p for p, value in zip(self.points, self.running_median) if value is not None and value >= level)
        return next(reached, None)
