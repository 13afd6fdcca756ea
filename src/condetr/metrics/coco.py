"""The twelve COCO numbers, computed by hotcoco; this file is all that knows it.

hotcoco is a port of pycocotools in Rust. The tests hold it to pycocotools' numbers within 1e-12. Annotations are
numbered from 1 here: pycocotools and its ports take a match with annotation 0 for no match.
"""

from dataclasses import asdict, dataclass

import hotcoco
import numpy as np

from ..shapes import Float64
from .columns import Columns

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MOST = 100  # detections that count, per image and class


@dataclass(frozen=True, slots=True)
class Summary:
    """COCO's twelve numbers, in [0, 1], or -1 where no object falls under the heading (COCO's convention).

    AP averages the precision over 101 recalls, ten IoU thresholds 0.50 … 0.95 and the classes that have objects. Small
    is below 32² square pixels of annotated area, large from 96² on. AR_n allows n detections per image and class.
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
        """With the names of COCO's own leaderboard: AP, AP50, …, ARl."""
        return dict(zip(NAMES, asdict(self).values(), strict=True))


NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


@dataclass(frozen=True, slots=True)
class Grid:
    """COCO's accumulated tables: T IoU thresholds, R recalls, K classes, A areas (all, small, medium, large) and
    L limits (1, 10, 100 detections); -1 where a class has no object."""

    precision: Float64[np.ndarray, "T R K A L"]
    recall: Float64[np.ndarray, "T K A L"]


def accumulate(columns: Columns, classes: int) -> Grid:
    truth = hotcoco.COCO.from_arrays(
        [{"id": i, "width": 0, "height": 0} for i in range(1, len(columns.image_ids) + 1)],
        [{"id": label + 1, "name": str(label)} for label in range(classes)],
        columns.truth_image + 1,
        columns.truth_label + 1,
        columns.truth_box,
        ids=np.arange(1, len(columns.truth_image) + 1),
        area=columns.truth_area,
        iscrowd=columns.truth_crowd,
    )
    found = truth.load_res(
        np.column_stack((columns.found_image + 1, columns.found_box, columns.found_score, columns.found_label + 1))
    )
    evaluator = hotcoco.COCOeval(truth, found, "bbox")
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
    """Over what is defined; the flat order is pycocotools', so that even the rounding agrees."""
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0
