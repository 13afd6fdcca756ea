"""The answer for one image, and how a model's predictions become it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .boxes import cxcywh_to_xyxy
from .errors import CondetrError
from .scoring import Scoring
from .shapes import Float, Int
from .types import Categories, Predictions


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found in one image, best first.

    `boxes` are xyxy in pixels of the image as a person sees it, `scores` in [0, 1], `labels` index `categories`,
    `queries` say which object query found each (several may come from one), `size` is the image's (width, height).
    """

    boxes: Float[np.ndarray, "M 4"]
    scores: Float[np.ndarray, " M"]
    labels: Int[np.ndarray, " M"]
    queries: Int[np.ndarray, " M"]
    categories: Categories
    size: tuple[int, int]

    @property
    def names(self) -> list[str]:
        return [self.categories.name(label) for label in self.labels.tolist()]

    @property
    def category_ids(self) -> list[int]:
        return [self.categories.ids[label] for label in self.labels.tolist()]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, which: int | slice | Sequence[int] | np.ndarray) -> "Detections":
        """Some of them, as Detections: an index, a slice, indices or a mask."""
        if isinstance(which, int | np.integer):
            if not -len(self) <= which < len(self):
                raise IndexError(f"detection {which} of {len(self)}")
            which = [int(which)]
        keep = which if isinstance(which, slice) else np.asarray(which, dtype=None if len(which) else np.int64)
        return Detections(
            self.boxes[keep], self.scores[keep], self.labels[keep], self.queries[keep], self.categories, self.size
        )

    def __iter__(self) -> Iterator["Detections"]:
        return (self[i] for i in range(len(self)))

    def above(self, threshold: float | Sequence[float]) -> "Detections":
        """Those that score at least the threshold: one number, or one for each label."""
        bar = np.asarray(threshold, dtype=np.float32)
        return self[self.scores >= (bar[self.labels] if bar.ndim else bar)]

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """COCO results: category_id is the data set's own number, bbox is xywh in pixels."""
        return [
            {
                "image_id": image_id,
                "category_id": category_id,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": score,
            }
            for category_id, (x1, y1, x2, y2), score in zip(
                self.category_ids, self.boxes.astype(float).tolist(), self.scores.astype(float).tolist()
            )
        ]

    def to_supervision(self) -> Any:
        """As `supervision.Detections`; class_id is the label, data["class_name"] its name."""
        try:
            import supervision
        except ImportError:
            raise CondetrError("to_supervision needs supervision: pip install 'condetr[supervision]'") from None
        return supervision.Detections(
            xyxy=self.boxes.astype(np.float32).reshape(-1, 4),
            confidence=self.scores.astype(np.float32),
            class_id=self.labels.astype(int),
            data={"class_name": np.array(self.names, dtype=str)},
        )


def best(
    predictions: Predictions,
    scoring: Scoring,
    sizes: Sequence[tuple[int, int]],
    categories: Categories,
    limit: int = 100,
) -> list[Detections]:
    """The last layer's answers for each image, best first, at most `limit`; sizes are the images' (width, height).

    Which (query, class) pairs count is the scoring's business: the best of all pairs for focal (Conditional DETR), the
    best class of each query for softmax (DETR). Slots of `categories` that are no class never answer.
    """
    probability = scoring.probabilities(predictions.logits[-1].float())
    scores, queries, labels = scoring.rank(probability, torch.tensor(categories.real, device=probability.device), limit)
    boxes = cxcywh_to_xyxy(predictions.boxes[-1].float())
    boxes = boxes.gather(1, queries[..., None].expand(-1, -1, 4))
    scale = torch.tensor([[w, h, w, h] for w, h in sizes], dtype=boxes.dtype).to(boxes.device)
    boxes = boxes * scale[:, None]
    return [
        Detections(_numpy(box), _numpy(score), _numpy(label), _numpy(query), categories, (int(size[0]), int(size[1])))
        for box, score, label, query, size in zip(boxes, scores, labels, queries, sizes, strict=True)
    ]


def _numpy(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()
