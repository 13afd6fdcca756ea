"""Calibration: how often detections of a given score are correct."""

from dataclasses import dataclass

import numpy as np

from ..shapes import Float64, Int64
from .matching import Matches


@dataclass(frozen=True, slots=True)
class Calibration:
    """For each of B bins of scores: the number of detections, their mean score, and the fraction of them that are
    correct (IoU 0.5). `error` is the expected calibration error (Naeini et al., AAAI 2015)."""

    count: Int64[np.ndarray, " B"]
    score: Float64[np.ndarray, " B"]
    precision: Float64[np.ndarray, " B"]
    error: float


def calibrate(matches: Matches, bins: int = 20) -> Calibration:
    """The calibration in equal bins of [0, 1]. An empty bin has NaN, and all are empty where a score is not in [0, 1]:
    such scores are no probabilities."""
    keep = ~matches.ignored[0] & bool(((matches.score >= 0) & (matches.score <= 1)).all())
    score, correct = matches.score[keep], matches.correct[0, keep]
    bin_index = np.clip((score * bins).astype(int), 0, bins - 1)
    count = np.bincount(bin_index, minlength=bins)
    mean_score, precision = (
        np.divide(np.bincount(bin_index, x, bins), count, out=np.full(bins, np.nan), where=count > 0)
        for x in (score, correct)
    )
    error = np.nansum(count * np.abs(mean_score - precision)) / count.sum() if len(score) else float("nan")
    return Calibration(count, mean_score, precision, float(error))
