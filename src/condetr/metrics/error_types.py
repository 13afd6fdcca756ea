"""The error types of TIDE, and how much AP50 would rise if each type alone were fixed.

Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors" (ECCV 2020), §2.2. A detection that is
not a true positive at IoU 0.5 is, in this order: a localisation error (IoU 0.1 … 0.5 with an object of its class), a
class error (IoU of 0.5 or more with an object of another class), a duplicate (IoU of 0.5 or more with an object of its
class that is matched already), background (IoU below 0.1 with every object), or both (IoU 0.1 … 0.5 with an object of
another class). An object is missed when no true positive, localisation error or class error belongs to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..shapes import Bool, Float64, Int64
from .average_precision import average_precision
from .box_table import BoxTable
from .matching import Matches, box_iou

ERROR_TYPES = ("localisation", "class", "both", "duplicate", "background", "missed")
LOCALISATION, CLASS, BOTH, DUPLICATE, BACKGROUND, MISSED = range(6)
FOREGROUND_IOU, BACKGROUND_IOU = 0.5, 0.1  # TIDE's t_f and t_b


@dataclass(frozen=True, slots=True)
class ErrorAnalysis:
    """In the order of ERROR_TYPES: the number of errors over all detections (`counts`) and over those that reach the
    threshold of their class (`confident`), and the rise of AP50 if they alone were fixed (§2.3).

    Fixing: a localisation or class error becomes a true positive, or is removed where its object has a better one;
    both, duplicate and background are removed; a missed object is removed from the ground truth. A class without
    objects after that has AP 1.
    """

    counts: Int64[np.ndarray, " 6"]
    confident: Int64[np.ndarray, " 6"]
    gains: Float64[np.ndarray, " 6"]


@dataclass(frozen=True, slots=True)
class _Assigned:
    """Each detection's error type (-1: none) and the object that it should have matched (-1: none); missed objects."""

    error_type: Int64[np.ndarray, " D"]
    target: Int64[np.ndarray, " D"]
    missed: Bool[np.ndarray, " M"]


def analyse_errors(table: BoxTable, matches: Matches, thresholds: Float64[np.ndarray, " K"]) -> ErrorAnalysis:
    """The errors of all detections; `thresholds` are the confidence thresholds of the labels, for `confident`."""
    assigned = _assign(table, matches)
    confident = _assign(table, matches.select(matches.score >= thresholds[matches.label]))
    counted, correct, classes = ~matches.ignored[0], matches.correct[0], np.flatnonzero(matches.objects)
    before = _mean_precision(matches.label, matches.score, correct & counted, counted, matches.objects, classes)
    gains = []
    for error_type in range(len(ERROR_TYPES)):
        label, keep, objects = matches.label, counted & (assigned.error_type != error_type), matches.objects
        fixed = np.zeros(len(correct), bool)
        if error_type == MISSED:
            objects = objects - np.bincount(table.truth_label[assigned.missed], minlength=len(objects))
        if error_type in (LOCALISATION, CLASS):
            fixed[_fixed(matches, assigned, error_type)] = True
            label = label.copy()
            label[fixed] = table.truth_label[assigned.target[fixed]]
        after = _mean_precision(label, matches.score, correct | fixed, keep | fixed, objects, classes)
        gains.append(after - before)
    return ErrorAnalysis(_counts(assigned), _counts(confident), np.array(gains, float))


def _counts(assigned: _Assigned) -> Int64[np.ndarray, " 6"]:
    counts = np.bincount(assigned.error_type[assigned.error_type >= 0], minlength=len(ERROR_TYPES))
    counts[MISSED] = assigned.missed.sum()
    return counts.astype(np.int64)


def _fixed(matches: Matches, assigned: _Assigned, error_type: int) -> Int64[np.ndarray, " E"]:
    """Of the errors of a type, the best one for each object without a true positive."""
    taken = np.zeros(len(assigned.missed), bool)
    taken[matches.matched[matches.matched >= 0]] = True
    entries = np.flatnonzero(assigned.error_type == error_type)
    entries = entries[~taken[assigned.target[entries]]]
    entries = entries[np.argsort(-matches.score[entries], kind="stable")]
    return entries[np.unique(assigned.target[entries], return_index=True)[1]]


def _mean_precision(
    label: np.ndarray, score: np.ndarray, correct: np.ndarray, keep: np.ndarray, objects: np.ndarray,
    classes: np.ndarray,
) -> float:  # fmt: skip
    """AP50 over the classes, from the detections to keep."""
    entries = np.flatnonzero(keep)
    entries = entries[np.lexsort((-score[entries], label[entries]))]
    bounds = np.searchsorted(label[entries], np.arange(len(objects) + 1))
    areas = [
        average_precision(correct[entries[bounds[k] : bounds[k + 1]]], int(objects[k])) if objects[k] else 1.0
        for k in classes.tolist()
    ]
    return float(np.mean(areas)) if areas else float("nan")


def _assign(table: BoxTable, matches: Matches) -> _Assigned:
    error_type, target = np.full(len(matches.row), -1), np.full(len(matches.row), -1)
    wrong = np.flatnonzero(~matches.correct[0] & ~matches.ignored[0])
    error_type[wrong] = BACKGROUND
    for _, entries, truths in by_image(table, matches, wrong):
        iou = box_iou(table.detected_box[matches.row[entries]][:, None], table.truth_box[truths], np.array(False))
        same = matches.label[entries][:, None] == table.truth_label[truths]
        same_iou, other_iou = np.where(same, iou, 0.0), np.where(same, 0.0, iou)
        same_best, other_best = same_iou.max(1), other_iou.max(1)
        localisation = (same_best >= BACKGROUND_IOU) & (same_best < FOREGROUND_IOU)
        wrong_class = other_best >= FOREGROUND_IOU
        error_type[entries] = np.select(
            [localisation, wrong_class, same_best >= FOREGROUND_IOU, other_best < BACKGROUND_IOU],
            [LOCALISATION, CLASS, DUPLICATE, BACKGROUND],
            BOTH,
        )
        nearest = np.where(localisation, same_iou.argmax(1), other_iou.argmax(1))
        target[entries] = np.where(localisation | wrong_class, truths[nearest], -1)
    explained = np.zeros(len(table.truth_image), bool)
    explained[matches.matched[matches.matched >= 0]] = True
    explained[target[target >= 0]] = True
    return _Assigned(error_type, target, ~explained & table.is_object)


def by_image(
    table: BoxTable, matches: Matches, entries: Int64[np.ndarray, " E"]
) -> Iterator[tuple[int, Int64[np.ndarray, " D"], Int64[np.ndarray, " M"]]]:
    """For each image that has both: its index, its entries among `entries`, and the rows of its objects."""
    entries = entries[np.argsort(matches.image[entries], kind="stable")]
    truths = np.flatnonzero(table.is_object)
    images = np.intersect1d(matches.image[entries], table.truth_image[truths])
    bounds = [np.searchsorted(matches.image[entries], images, side) for side in ("left", "right")]
    bounds += [np.searchsorted(table.truth_image[truths], images, side) for side in ("left", "right")]
    for image, a, b, c, d in zip(images.tolist(), *(bound.tolist() for bound in bounds)):
        yield image, entries[a:b], truths[c:d]
