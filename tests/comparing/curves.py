"""Learning curves with known numbers."""

from collections.abc import Sequence

from condetr.comparing.learning_curve import LearningCurve, Point

IMAGES, SECONDS = 100, 2.0  # per epoch


def curve(
    model: str, aps: Sequence[float], seed: int = 0, epochs: int | None = None, every: int = 1,
    seconds: float = SECONDS,
) -> LearningCurve:  # fmt: skip
    """One evaluation after `every`, twice `every` … epochs of `seconds` each."""
    points = tuple(
        Point(epoch=every * i, images=IMAGES * every * i, seconds=seconds * every * i, ap=ap, ap50=2 * ap)
        for i, ap in enumerate(aps, start=1)
    )
    return LearningCurve(model, epochs or every * len(aps), seed, points)


def ramp(slope: float, epochs: int, top: float = 0.5) -> list[float]:
    """AP that grows by `slope` per epoch, up to `top`."""
    return [min(top, slope * epoch) for epoch in range(1, epochs + 1)]
