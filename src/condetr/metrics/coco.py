"""COCO's twelve numbers, computed by hotcoco; no other file uses hotcoco.

hotcoco is a port of pycocotools to Rust. The tests require it to equal pycocotools within 1e-12. Annotations are
numbered from 1 here, because pycocotools and its ports treat a match with annotation 0 as no match.
"""

from dataclasses import asdict, dataclass

import hotcoco
import numpy as np

from ..shapes import Float64
from .box_table import BoxTable

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100  # per image and class


@dataclass(frozen=True, slots=True)
class Summary:
    """COCO's twelve numbers, in [0, 1], or -1 where no object counts (COCO's convention).

    AP averages the precision over 101 recalls, ten IoU thresholds 0.50 … 0.95 and the classes that have objects. Small
    objects have an annotated area below 32² square pixels, large ones of 96² or more. AR_n allows n detections per
    image and class.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar1: float
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float

    def named(self) -> dict[str, float]:
        """The numbers by the names of COCO's leaderboard: AP, AP50, …, ARl."""
        return dict(zip(NAMES, asdict(self).values(), strict=True))


NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


@dataclass(frozen=True, slots=True)
class Grid:
    """COCO's accumulated tables: T IoU thresholds, R recalls, K classes, A areas (all, small, medium, large) and
    L limits (1, 10 and, unless stated, 100 detections); -1 where a class has no object."""

    precision: Float64[np.ndarray, "T R K A L"]
    recall: Float64[np.ndarray, "T K A L"]


@dataclass(frozen=True, slots=True)
class Unlimited:
    """COCO's numbers without its limit of 100 detections per image and class, of which an image has at most
    `detections`; -1 where no object counts."""

    detections: int
    ap: float
    ap50: float
    ap75: float
    ar: float
    ar_small: float
    ar_medium: float
    ar_large: float

    def named(self) -> dict[str, float]:
        """The numbers by the names of COCO's leaderboard."""
        names = ("AP", "AP50", "AP75", "AR", "ARs", "ARm", "ARl")
        return dict(zip(names, list(asdict(self).values())[1:], strict=True))


def most_of_a_class(table: BoxTable) -> int:
    """The most detections of a class that an image has."""
    pairs = np.stack([table.detected_image, table.detected_label])
    return int(np.unique(pairs, axis=1, return_counts=True)[1].max(initial=0))


def unlimited(table: BoxTable, classes: int) -> Unlimited | None:
    """The numbers for all detections; None where COCO's limit leaves none out."""
    most = most_of_a_class(table)
    if most <= MAX_DETECTIONS:
        return None
    grid = accumulate(table, classes, most)
    precision, recall = grid.precision, grid.recall
    return Unlimited(
        most,
        _mean(precision[..., 0, 2]),
        _mean(precision[0, ..., 0, 2]),
        _mean(precision[5, ..., 0, 2]),
        *(_mean(recall[..., area, 2]) for area in range(4)),
    )


def accumulate(table: BoxTable, classes: int, most: int = MAX_DETECTIONS) -> Grid:
    """Match and accumulate as COCO's evaluation does, for K = `classes` labels; the last limit is `most` detections."""
    truth = hotcoco.COCO.from_arrays(
        [{"id": i, "width": 0, "height": 0} for i in range(1, len(table.image_ids) + 1)],
        [{"id": label + 1, "name": str(label)} for label in range(classes)],
        table.truth_image + 1,
        table.truth_label + 1,
        table.truth_box,
        ids=np.arange(1, len(table.truth_image) + 1),
        area=table.truth_area,
        iscrowd=table.truth_crowd,
    )
    detections = truth.load_res(
        np.column_stack((table.detected_image + 1, table.detected_box, table.detected_score, table.detected_label + 1))
    )
    evaluator = hotcoco.COCOeval(truth, detections, "bbox")
    if most != MAX_DETECTIONS:
        evaluator.params.max_dets = [1, 10, most]
    evaluator.evaluate()
    evaluator.accumulate()
    tables = evaluator.eval
    assert tables is not None, "accumulate fills the tables"
    return Grid(np.asarray(tables["precision"], float), np.asarray(tables["recall"], float))


def summarise(grid: Grid) -> Summary:
    precision, recall = grid.precision, grid.recall
    return Summary(
        _mean(precision[..., 0, 2]),
        _mean(precision[0, ..., 0, 2]),
        _mean(precision[5, ..., 0, 2]),
        *(_mean(precision[..., area, 2]) for area in (1, 2, 3)),
        *(_mean(recall[..., 0, limit]) for limit in (0, 1, 2)),
        *(_mean(recall[..., area, 2]) for area in (1, 2, 3)),
    )


def _mean(values: np.ndarray) -> float:
    """The mean of the defined values, in pycocotools' flat order, so that even the rounding agrees."""
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0
