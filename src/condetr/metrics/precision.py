"""From hits to numbers: average precision with images weighted, bootstrap intervals, and the best threshold."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from ..shapes import Bool, Float64, Int, Int32, Int64
from .coco import RECALLS
from .columns import Columns
from .matching import Matches

_TOGETHER = 128  # resamples at a time: the tables of a class then stay in the processor's cache


def average_precision(hit: Bool[np.ndarray, " D"], objects: int) -> float:
    """COCO's area under the precision–recall curve, read at 101 recalls; best entry first. NaN without objects."""
    if objects == 0:
        return float("nan")
    place = np.flatnonzero(hit)
    return float(_areas(np.ones((len(place), 1), np.int64), place[:, None] + 1, np.array([objects]))[0])


def _areas(
    weight: Int[np.ndarray, "P R"], seen: Int[np.ndarray, "P R"], objects: Int[np.ndarray, " R"]
) -> Float64[np.ndarray, " R"]:
    """The average precision of R weightings at once, from the P hits alone: between hits precision only falls.

    `weight` of each hit, `seen`: weight of all answers up to it, hit or not.
    """
    hits = np.cumsum(weight, axis=0)
    precision = hits / (seen + np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    # A hit answers for the recalls above the previous hit's, up to its own; compared in floating point, as COCO does.
    recall = hits / np.maximum(objects, 1)
    nearest = np.rint(100 * recall).astype(np.intp)
    passed = np.where(hits > 0, nearest + (RECALLS[nearest] <= recall), 0)
    return (precision * np.diff(passed, axis=0, prepend=0)).sum(0) / len(RECALLS)


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What AP and AP50 would be on other images of the same kind: intervals over resampled images.

    The images are drawn with replacement, as many as there are; objects and detections stay with their image.
    Matching never crosses images, so each image is matched once and a resample only weighs it anew. Rare classes
    drop out of some resamples, which shifts their mean AP; the percentiles are therefore bias-corrected (Efron and
    Tibshirani, An Introduction to the Bootstrap, §14.3, with acceleration 0). The interval is about the choice of
    images; that training again gives another detector is not in it.
    """

    ap: Interval
    ap50: Interval
    resamples: int
    level: float


def bootstrap(columns: Columns, matches: Matches, resamples: int, level: float = 0.95, seed: int = 0) -> Bootstrap:
    images = len(columns.image_ids)
    random = np.random.default_rng(seed)
    weights = random.multinomial(images, np.full(images, 1 / images), size=resamples)
    here = reweighted(columns, matches, np.ones((1, images), np.int64))
    ap, ap50 = (_interval(*pair, level) for pair in zip(reweighted(columns, matches, weights), here))
    return Bootstrap(ap, ap50, resamples, level)


def _interval(values: Float64[np.ndarray, " R"], here: Float64[np.ndarray, " 1"], level: float) -> Interval:
    values = values[np.isfinite(values)]
    if not len(values):
        return Interval(float("nan"), float("nan"))
    below = (np.mean(values < here) + np.mean(values <= here)) / 2
    shift = ndtri(np.clip(below, 1 / (2 * len(values)), 1 - 1 / (2 * len(values))))
    low, high = np.quantile(values, ndtr(2 * shift + ndtri([(1 - level) / 2, (1 + level) / 2])))
    return Interval(float(low), float(high))


def reweighted(
    columns: Columns, matches: Matches, weights: Int64[np.ndarray, "R I"]
) -> tuple[Float64[np.ndarray, " R"], Float64[np.ndarray, " R"]]:
    """AP and AP50 with image i counted weights[r, i] times; equal to evaluating the copies, up to ties inside one
    image. NaN where no object has a weight."""
    total, total50, present = np.zeros((3, len(weights)))
    mine = [columns.truth_image[columns.plain & (columns.truth_label == k)] for k in range(len(matches.objects))]
    for start in range(0, len(weights), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        by_image = np.ascontiguousarray(weights[part].T, dtype=np.int32)
        for label in np.flatnonzero(matches.objects).tolist():
            objects = by_image[mine[label]].sum(0, dtype=np.int64)
            areas = _class_areas(matches, matches.of(label), by_image, objects) * (objects > 0)
            total[part] += areas.mean(0)
            total50[part] += areas[0]
            present[part] += objects > 0
    with np.errstate(invalid="ignore"):
        return total / present, total50 / present


def _class_areas(
    matches: Matches, entries: slice, by_image: Int32[np.ndarray, "I R"], objects: Int64[np.ndarray, " R"]
) -> Float64[np.ndarray, "T R"]:
    last = np.flatnonzero(matches.hit[:, entries].any(0))[-1:]
    entries = slice(entries.start, entries.start + int(last.sum()) + len(last))  # behind the last hit nothing matters
    weight = by_image[matches.image[entries]]
    hit, ignored = matches.hit[:, entries], matches.ignored[:, entries]
    seen, without = np.cumsum(weight, axis=0, dtype=np.int32), np.zeros(len(weight), bool)
    areas = []
    for threshold in range(len(hit)):
        if (ignored[threshold] != without).any():
            without = ignored[threshold]
            seen = np.cumsum(weight * ~without[:, None], axis=0, dtype=np.int32)
        place = np.flatnonzero(hit[threshold])
        areas.append(_areas(weight[place], seen[place], objects))
    return np.stack(areas)


@dataclass(frozen=True, slots=True)
class Operating:
    """A class at the score threshold where its F1 (IoU 0.5) is largest. Without a single hit there is no such
    threshold, and without an object no number at all: NaN."""

    threshold: float
    f1: float
    precision: float
    recall: float


def best_threshold(matches: Matches, label: int) -> Operating:
    entries, objects = matches.of(label), int(matches.objects[label])
    keep = ~matches.ignored[0, entries]
    hit, score = matches.hit[0, entries][keep], matches.score[entries][keep]
    nan = float("nan")
    if not hit.any():
        return Operating(nan, 0.0, nan, 0.0) if objects else Operating(nan, nan, nan, nan)
    hits, seen = np.cumsum(hit), np.arange(1, len(hit) + 1)
    f1 = 2 * hits / (objects + seen)
    f1[np.flatnonzero(score[:-1] == score[1:])] = -1.0  # a threshold cannot part equal scores
    at = int(f1.argmax())
    return Operating(float(score[at]), float(f1[at]), float(hits[at] / seen[at]), float(hits[at] / objects))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Do scores mean what they say? In each bin of scores: how many detections, their mean score, and the part of them
    that found an object at IoU 0.5. `error` is the expected calibration error (Naeini et al., AAAI 2015)."""

    count: Int64[np.ndarray, " B"]
    score: Float64[np.ndarray, " B"]
    precision: Float64[np.ndarray, " B"]
    error: float


def calibrate(matches: Matches, bins: int = 20) -> Calibration:
    """Over equal bins of [0, 1]; an empty bin has NaN."""
    keep = ~matches.ignored[0]
    score, hit = matches.score[keep], matches.hit[0, keep]
    place = np.clip((score * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    mean_score, precision = (
        np.divide(np.bincount(place, x, bins), count, out=np.full(bins, np.nan), where=count > 0) for x in (score, hit)
    )
    error = np.nansum(count * np.abs(mean_score - precision)) / count.sum() if len(score) else float("nan")
    return Calibration(count, mean_score, precision, float(error))
