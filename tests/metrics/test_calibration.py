"""Scores are compared with the fraction of correct detections."""

import pytest

from condetr.metrics.calibration import calibrate
from condetr.metrics.matching import match

from .tables import THREE, image, table_of


def test_calibration_of_three_detections() -> None:
    objects = [("cat", (0, 0, 10, 10)), ("cat", (50, 50, 70, 70))]
    predicted = [
        ("cat", (0, 0, 10, 10), 0.92), ("cat", (50, 50, 70, 70), 0.62), ("cat", (100, 100, 120, 120), 0.64)
    ]  # fmt: skip
    table = table_of(*map(list, zip(image(1, objects, predicted))), THREE)
    calibration = calibrate(match(table, 3), bins=10)
    assert calibration.count.tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0, 1]
    assert calibration.precision[[6, 9]] == pytest.approx([0.5, 1.0])
    assert calibration.score[[6, 9]] == pytest.approx([0.63, 0.92])
    assert calibration.error == pytest.approx((2 * 0.13 + 0.08) / 3)
