"""How good a detector is: COCO's twelve numbers and what stands behind them."""

from .coco import NAMES, Summary
from .columns import Columns
from .evaluation import ClassResult, Evaluation, ImageResult, Scorer, labels_of, measure

__all__ = [
    "NAMES",
    "ClassResult",
    "Columns",
    "Evaluation",
    "ImageResult",
    "Scorer",
    "Summary",
    "labels_of",
    "measure",
]
