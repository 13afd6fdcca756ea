"""Images of an evaluation's page, with ground truth and detections drawn on them."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import ImageError
from ..images.decode import Pixels, open_image
from ..metrics import ImageCounts
from ..reports.drawing import draw_boxes, enlarge
from .evaluation import Evaluation


def drawings(evaluation: Evaluation, images: Sequence[ImageCounts]) -> Iterator[tuple[Pixels, str]]:
    """Each image with its caption, drawn when it is taken, so that one image at a time is in memory.

    An image that can no longer be read is skipped.
    """
    samples = {sample.truth.image_id: sample for sample in evaluation.split}
    for counts in images:
        sample = samples[counts.image_id]
        try:
            pixels, factor = enlarge(open_image(sample.path))
        except ImageError:
            continue
        truth = sample.truth
        pixels = draw_boxes(pixels, truth.boxes * factor, [""] * len(truth), truth.labels, dashed=True)
        boxes, captions, labels = _confident(evaluation, counts.image_id)
        pixels = draw_boxes(pixels, boxes * factor, captions, labels)
        caption = f"{counts.correct} correct, {counts.false} false, {counts.missed} missed"
        yield pixels, f"{sample.path.name}: {caption}"


def _confident(evaluation: Evaluation, image_id: int) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Boxes (xyxy), captions and labels of the detections that reach their class's best threshold, best first."""
    table, categories = evaluation.table, evaluation.data.categories
    thresholds = np.array(evaluation.metrics.thresholds)
    rows = np.flatnonzero(table.detected_image == np.searchsorted(table.image_ids, image_id))
    rows = rows[table.detected_score[rows] >= thresholds[table.detected_label[rows]]]
    rows = rows[np.argsort(-table.detected_score[rows], kind="stable")]
    labels, boxes, scores = table.detected_label[rows], table.detected_box[rows], table.detected_score[rows]
    captions = [f"{categories.name(label)} {score:.2f}" for label, score in zip(labels.tolist(), scores.tolist())]
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1), captions, labels
