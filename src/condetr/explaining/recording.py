"""Runs a detector on one image and records its predictions and its attention."""

from dataclasses import replace

import numpy as np
import torch

from ..boxes import cxcywh_to_xyxy
from ..decoding import MAX_DETECTIONS, decode
from ..engine.torch_defaults import torch_defaults
from ..images.decode import Source
from ..images.prepare import open_image, pad
from ..predicting.batching import Scaled
from ..predicting.predictor import Predictor
from ..predicting.selection import Threshold
from .attention_maps import record_attention
from .image_record import ImageRecord
from .thresholds import by_label, resolve


def record_image(predictor: Predictor, image: Source, threshold: Threshold) -> ImageRecord:
    """Run a detector on an image and record its attention. Raises ImageError for an image that cannot be read.

    `threshold` is that of `Predictor`: None means the thresholds stored in the weights, otherwise 0.5.
    """
    pixels = open_image(image)
    scaled = Scaled(predictor.prepare.scale(pixels), (pixels.shape[1], pixels.shape[0]))
    return replace(record_scaled(predictor, scaled, threshold), image=pixels)


@torch_defaults()
def record_scaled(
    predictor: Predictor, scaled: Scaled, threshold: Threshold, limit: int | None = MAX_DETECTIONS
) -> ImageRecord:
    """As `record_image`, of an image that is scaled already, which the record then has. At most `limit` detections."""
    attention = record_attention(predictor.detector, pad([scaled.image]).to(predictor.device))
    predictions = attention.predictions
    (predicted,) = decode(predictions, predictor.scoring, [scaled.size], predictor.categories, limit)
    real = torch.tensor(predictor.categories.real, device=predictions.logits.device)
    scores, indices = predictor.scoring.probabilities(predictions.logits[:, 0].float())[..., real].max(-1)
    scale = np.array([*scaled.size, *scaled.size], dtype=np.float32)
    return ImageRecord(
        image=scaled.image,
        size=scaled.size,
        categories=predictor.categories,
        threshold=resolve(threshold, predictor),
        thresholds=by_label(threshold, predictor),
        detections=predictor.selection(threshold, most=limit or max(1, len(predicted)))(predicted),
        all_detections=predicted,
        nms=predictor.nms,
        boxes=cxcywh_to_xyxy(predictions.boxes[:, 0].float()).cpu().numpy() * scale,
        scores=scores.cpu().numpy(),
        labels=real[indices].cpu().numpy(),
        references=attention.references[:, 0].cpu().numpy() * scale[:2],
        attention=attention,
    )
