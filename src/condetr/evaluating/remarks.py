"""What is odd about the detections of a file: scores that are no probabilities, boxes in another form than COCO's."""

import numpy as np

from ..datasets.coco_boxes import are_fractions, look_like_corners
from ..datasets.dataset import Split
from ..metrics import BoxTable


def unusual(table: BoxTable, split: Split) -> list[str]:
    """Sentences about detections on the images of a split; none about sound ones."""
    return [*_unusual_scores(table.detected_score), *_unusual_boxes(table, split)]


def _unusual_scores(scores: np.ndarray) -> list[str]:
    if not len(scores) or (scores.min() >= 0 and scores.max() <= 1):
        return []
    return [
        f"scores from {scores.min():.3g} to {scores.max():.3g}, not in [0, 1]: AP is exact, calibration is left out"
    ]


def _unusual_boxes(table: BoxTable, split: Split) -> list[str]:
    size_of = {sample.truth.image_id: sample.truth.size for sample in split}
    sizes = [size_of[id] for id in table.image_ids.tolist()]
    boxes = table.detected_box.copy()
    boxes[:, 2:] += boxes[:, :2]
    rows = [(image, 0, *box) for image, box in zip(table.detected_image.tolist(), boxes.tolist())]
    if are_fractions(rows):
        return ["all boxes of the detections lie between 0 and 1: write them in pixels"]
    if look_like_corners(rows, sizes):
        return ["many boxes exceed their images: they look like x1, y1, x2, y2; write x, y, width, height"]
    return []
