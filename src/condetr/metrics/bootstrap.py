"""Intervals for AP and AP50 by a bootstrap over the images."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from ..shapes import Float64, Int32, Int64
from .average_precision import weighted_areas
from .box_table import BoxTable
from .matching import Matches

_TOGETHER = 128  # resamples at a time: the arrays of a class then stay in the processor's cache, and memory is bounded


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Intervals for AP and AP50 on other images of the same kind, from resampled images.

    As many images as there are, are drawn with replacement; objects and detections stay with their image. Matching
    never crosses images, so each image is matched once and a resample only weighs it differently. Rare classes are
    missing from some resamples, which shifts their mean AP; the percentiles are therefore bias-corrected (Efron and
    Tibshirani, An Introduction to the Bootstrap, §14.3, with acceleration 0). The interval covers the choice of images,
    not the variation between trainings.
    """

    ap: Interval
    ap50: Interval
    resamples: int
    level: float


def bootstrap(table: BoxTable, matches: Matches, resamples: int, level: float = 0.95, seed: int = 0) -> Bootstrap:
    images = len(table.image_ids)
    random = np.random.default_rng(seed)
    estimate = weighted_ap(table, matches, np.ones((1, images), np.int64))
    parts = [
        weighted_ap(table, matches, random.multinomial(images, np.full(images, 1 / images), size=number))
        for number in np.diff([*range(0, resamples, _TOGETHER), resamples]).tolist()
    ]
    ap, ap50 = (_interval(np.concatenate(drawn), one, level) for drawn, one in zip(zip(*parts), estimate))
    return Bootstrap(ap, ap50, resamples, level)


def _interval(values: Float64[np.ndarray, " R"], estimate: Float64[np.ndarray, " 1"], level: float) -> Interval:
    values = values[np.isfinite(values)]
    if not len(values):
        return Interval(float("nan"), float("nan"))
    below = (np.mean(values < estimate) + np.mean(values <= estimate)) / 2
    shift = ndtri(np.clip(below, 1 / (2 * len(values)), 1 - 1 / (2 * len(values))))
    low, high = np.quantile(values, ndtr(2 * shift + ndtri([(1 - level) / 2, (1 + level) / 2])))
    return Interval(float(low), float(high))


def weighted_ap(
    table: BoxTable, matches: Matches, weights: Int64[np.ndarray, "R I"]
) -> tuple[Float64[np.ndarray, " R"], Float64[np.ndarray, " R"]]:
    """AP and AP50 with image i counted weights[r, i] times. It equals the evaluation of as many copies, up to equal
    scores inside one image. NaN where no object has a weight."""
    total, total50, present = np.zeros((3, len(weights)))
    by_image = np.ascontiguousarray(weights.T, dtype=np.int32)
    for label in np.flatnonzero(matches.objects).tolist():
        own = table.truth_image[table.is_object & (table.truth_label == label)]
        objects = by_image[own].sum(0, dtype=np.int64)
        areas = _class_areas(matches, matches.of_class(label), by_image, objects) * (objects > 0)
        total += areas.mean(0)
        total50 += areas[0]
        present += objects > 0
    with np.errstate(invalid="ignore"):
        return total / present, total50 / present


def _class_areas(
    matches: Matches, entries: slice, by_image: Int32[np.ndarray, "I R"], objects: Int64[np.ndarray, " R"]
) -> Float64[np.ndarray, "T R"]:
    last = np.flatnonzero(matches.correct[:, entries].any(0))[-1:]
    entries = slice(entries.start, entries.start + int(last.sum()) + len(last))  # those after it change no area
    weight = by_image[matches.image[entries]]
    correct, ignored = matches.correct[:, entries], matches.ignored[:, entries]
    total, left_out = np.cumsum(weight, axis=0, dtype=np.int32), np.zeros(len(weight), bool)
    areas = []
    for threshold in range(len(correct)):
        if (ignored[threshold] != left_out).any():
            left_out = ignored[threshold]
            total = np.cumsum(weight * ~left_out[:, None], axis=0, dtype=np.int32)
        positions = np.flatnonzero(correct[threshold])
        areas.append(weighted_areas(weight[positions], total[positions], objects))
    return np.stack(areas)
