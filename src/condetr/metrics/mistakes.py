"""What went wrong: the error types of TIDE and what mending each would be worth.

Error types after Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors" (ECCV 2020), §2.2.
A detection that is no hit at IoU 0.5 is, in this order: a localisation error (its own class at IoU 0.1 … 0.5), a class
error (another class at 0.5 or more), a duplicate (an object of its class at 0.5 or more that is taken), background
(nothing at 0.1), or both (another class at 0.1 … 0.5). An object that no hit, localisation or class error touches is
missed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..shapes import Bool, Float64, Int64
from .columns import Columns
from .matching import Matches, overlap
from .precision import average_precision

KINDS = ("localisation", "class", "both", "duplicate", "background", "missed")
LOCALISATION, CLASS, BOTH, DUPLICATE, BACKGROUND, MISSED = range(6)
FOREGROUND, NEAR = 0.5, 0.1


@dataclass(frozen=True, slots=True)
class Errors:
    """In the order of KINDS: how many there are, and by how much AP50 would rise if they alone were mended (§2.3).

    Mending: a localisation or class error becomes a hit, unless its object has a better one, then it goes; both,
    duplicate and background go; a missed object is no longer asked for. A class with nothing left to ask for has AP 1.
    """

    counts: Int64[np.ndarray, " 6"]
    gains: Float64[np.ndarray, " 6"]


@dataclass(frozen=True, slots=True)
class _Told:
    """Each detection's kind of error (-1: none) and the object it should have found (-1: none); objects missed."""

    kind: Int64[np.ndarray, " D"]
    meant: Int64[np.ndarray, " D"]
    missed: Bool[np.ndarray, " M"]


def errors(columns: Columns, matches: Matches) -> Errors:
    told = _tell(columns, matches)
    counts = np.bincount(told.kind[told.kind >= 0], minlength=len(KINDS))
    counts[MISSED] = told.missed.sum()
    counted, hits, classes = ~matches.ignored[0], matches.hit[0], np.flatnonzero(matches.objects)
    before = _mean_precision(matches.label, matches.score, hits & counted, counted, matches.objects, classes)
    gains = []
    for kind in range(len(KINDS)):
        label, keep, objects = matches.label, counted & (told.kind != kind), matches.objects
        mended = np.zeros(len(hits), bool)
        if kind == MISSED:
            objects = objects - np.bincount(columns.truth_label[told.missed], minlength=len(objects))
        if kind in (LOCALISATION, CLASS):
            mended[_mended(matches, told, kind)] = True
            label = label.copy()
            label[mended] = columns.truth_label[told.meant[mended]]
        after = _mean_precision(label, matches.score, hits | mended, keep | mended, objects, classes)
        gains.append(after - before)
    return Errors(counts.astype(np.int64), np.array(gains, float))


def _mended(matches: Matches, told: _Told, kind: int) -> Int64[np.ndarray, " E"]:
    """Of the errors of a kind, the best one for each object that has no hit yet."""
    taken = np.zeros(len(told.missed), bool)
    taken[matches.partner[matches.partner >= 0]] = True
    entries = np.flatnonzero(told.kind == kind)
    entries = entries[~taken[told.meant[entries]]]
    entries = entries[np.argsort(-matches.score[entries], kind="stable")]
    return entries[np.unique(told.meant[entries], return_index=True)[1]]


def _mean_precision(
    label: np.ndarray, score: np.ndarray, hit: np.ndarray, keep: np.ndarray, objects: np.ndarray, classes: np.ndarray
) -> float:
    """AP50 over the classes; only what is kept counts."""
    entries = np.flatnonzero(keep)
    entries = entries[np.lexsort((-score[entries], label[entries]))]
    bounds = np.searchsorted(label[entries], np.arange(len(objects) + 1))
    areas = [
        average_precision(hit[entries[bounds[k] : bounds[k + 1]]], int(objects[k])) if objects[k] else 1.0
        for k in classes.tolist()
    ]
    return float(np.mean(areas)) if areas else float("nan")


def _tell(columns: Columns, matches: Matches) -> _Told:
    kind, meant = np.full(len(matches.row), -1), np.full(len(matches.row), -1)
    wrong = np.flatnonzero(~matches.hit[0] & ~matches.ignored[0])
    kind[wrong] = BACKGROUND
    for _, entries, truths in by_image(columns, matches, wrong):
        iou = overlap(columns.found_box[matches.row[entries]][:, None], columns.truth_box[truths], np.array(False))
        same = matches.label[entries][:, None] == columns.truth_label[truths]
        own, other = np.where(same, iou, 0.0), np.where(same, 0.0, iou)
        near, foreign = own.max(1), other.max(1)
        badly_placed, of_another = (near >= NEAR) & (near < FOREGROUND), foreign >= FOREGROUND
        kind[entries] = np.select(
            [badly_placed, of_another, near >= FOREGROUND, foreign < NEAR],
            [LOCALISATION, CLASS, DUPLICATE, BACKGROUND],
            BOTH,
        )
        target = np.where(badly_placed, own.argmax(1), other.argmax(1))
        meant[entries] = np.where(badly_placed | of_another, truths[target], -1)
    touched = np.zeros(len(columns.truth_image), bool)
    touched[matches.partner[matches.partner >= 0]] = True
    touched[meant[meant >= 0]] = True
    return _Told(kind, meant, ~touched & columns.plain)


def by_image(
    columns: Columns, matches: Matches, entries: Int64[np.ndarray, " E"]
) -> Iterator[tuple[int, Int64[np.ndarray, " D"], Int64[np.ndarray, " M"]]]:
    """Image by image: its index, its entries, and the rows of its objects; only images that have both."""
    entries = entries[np.argsort(matches.image[entries], kind="stable")]
    truths = np.flatnonzero(columns.plain)
    images = np.intersect1d(matches.image[entries], columns.truth_image[truths])
    sides = [np.searchsorted(matches.image[entries], images, side) for side in ("left", "right")]
    sides += [np.searchsorted(columns.truth_image[truths], images, side) for side in ("left", "right")]
    for image, a, b, c, d in zip(images.tolist(), *(side.tolist() for side in sides)):
        yield image, entries[a:b], truths[c:d]
