"""From the predictions of a batch to the detections of each image."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .boxes import cxcywh_to_xyxy
from .detections import Detections
from .scoring import Scoring
from .shapes import Float
from .types import Categories, Predictions

MAX_DETECTIONS = 100  # per image, the number that COCO's metrics count


def most_of_view(queries: int) -> int:
    """How many detections an exported file returns for an image, and each view of an image that is detected in tiles
    has: one for each object query, and at least `MAX_DETECTIONS`."""
    return max(MAX_DETECTIONS, queries)


def decode(
    predictions: Predictions,
    scoring: Scoring,
    sizes: Sequence[tuple[int, int]],
    categories: Categories,
    limit: int | None = MAX_DETECTIONS,
) -> list[Detections]:
    """The detections of each image from the last decoder layer's predictions, best first, at most `limit` (None: all).

    `sizes` are the images' (width, height). The scoring decides which pairs of query and class are ranked: all of them
    for focal scoring (Conditional DETR), the best class of each query for softmax (DETR). Labels of `categories`
    without a name are never predicted.
    """
    probability = _probabilities(scoring, predictions.logits[-1].float())
    real = torch.tensor(categories.real, device=probability.device)
    pairs = probability.shape[1] * len(real)
    scores, queries, labels = scoring.rank(probability, real, pairs if limit is None else limit)
    boxes = cxcywh_to_xyxy(predictions.boxes[-1].float())
    boxes = boxes.gather(1, queries[..., None].expand(-1, -1, 4))
    scale = torch.tensor([[w, h, w, h] for w, h in sizes], dtype=boxes.dtype).to(boxes.device)
    arrays = [_numpy(x) for x in (boxes * scale[:, None], scores, labels, queries)]  # the batch at once, from a GPU
    return [
        Detections(box, score, label, query, categories, (int(size[0]), int(size[1])))
        for box, score, label, query, size in zip(*arrays, sizes, strict=True)
    ]


def _probabilities(scoring: Scoring, logits: Float[Tensor, "B N C"]) -> Float[Tensor, "B N K"]:
    """On a CPU of each image alone: vector instructions round the last elements of a tensor in another way, and which
    ones are the last would depend on the batch."""
    if logits.device.type != "cpu" or len(logits) < 2:
        return scoring.probabilities(logits)
    return torch.cat([scoring.probabilities(one.contiguous()) for one in logits.split(1)])


def _numpy(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()
