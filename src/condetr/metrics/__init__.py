"""COCO's twelve numbers and the analyses behind them: curves, error types, confusion, calibration, intervals."""

from .box_table import BoxTable
from .coco import NAMES, Summary
from .evaluator import Evaluator, match_classes
from .metrics import ClassMetrics, ImageCounts, Metrics

__all__ = [
    "NAMES",
    "BoxTable",
    "ClassMetrics",
    "Evaluator",
    "ImageCounts",
    "Metrics",
    "Summary",
    "match_classes",
]
