"""Curves whose numbers are known by construction."""

from collections.abc import Sequence

from condetr.comparing.curve import Curve, Point

IMAGES, SECONDS = 100, 2.0  # of an epoch


def curve(model: str, aps: Sequence[float], seed: int = 0, epochs: int | None = None, every: int = 1) -> Curve:
    """One evaluation after `every`, twice `every` … epochs."""
    points = tuple(
        Point(epoch=every * i, images=IMAGES * every * i, seconds=SECONDS * every * i, ap=ap, ap50=2 * ap)
        for i, ap in enumerate(aps, start=1)
    )
    return Curve(model, epochs or every * len(aps), seed, points)


def ramp(slope: float, epochs: int, top: float = 0.5) -> list[float]:
    """AP that grows by `slope` an epoch up to `top`."""
    return [min(top, slope * epoch) for epoch in range(1, epochs + 1)]
