"""One image, seen once by a detector: every query's answers, and where each of them looked."""

from dataclasses import dataclass
from math import floor
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..boxes import cxcywh_to_xyxy
from ..decoding import decode
from ..detections import Detections
from ..errors import CondetrError
from ..images.decode import Source
from ..images.prepare import open_image
from ..predicting.predictor import Predictor
from ..shapes import Float, Int, UInt8
from ..types import Categories
from .attention_maps import Part, Witnessed, witness

Point = tuple[float | int, float | int]
Threshold = float | Literal["best"]

ADVICE = "Lower the threshold (`best` is what the weights recommend, if they do), or ask about a point: --at X,Y"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A query near a point: its best class, its box (xyxy) and its reference point, in pixels of the image.

    `covers`: the box holds the point. `kept`: the query is among the detections; if not, its score is too low.
    """

    query: int
    label: int
    name: str
    score: float
    box: tuple[float, float, float, float]
    reference: Point
    covers: bool
    kept: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """One image, seen once. `boxes` (xyxy), `scores` and `labels` are every query's best class at every layer.

    `detections` score at least the threshold; `all_detections` are the answers without one. Pixels of the image.
    """

    image: UInt8[np.ndarray, "height width 3"]
    categories: Categories
    threshold: Threshold
    detections: Detections
    all_detections: Detections
    boxes: Float[np.ndarray, "S N 4"]
    scores: Float[np.ndarray, "S N"]
    labels: Int[np.ndarray, "S N"]
    references: Float[np.ndarray, "N 2"]
    witnessed: Witnessed

    @property
    def size(self) -> tuple[int, int]:
        return (self.image.shape[1], self.image.shape[0])

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the attention maps."""
        return tuple(self.witnessed.padding.shape[1:])  # type: ignore[return-value]

    @property
    def heads(self) -> int:
        return self.witnessed.cross[0].attention.heads

    def layer(self, number: int) -> int:
        """A decoder layer's number counted from 0, from one that may count from the end."""
        return layer_of(number, len(self.witnessed.cross))

    def detection(self, number: int) -> tuple[int, int]:
        """Query and label of a detection, counted from 0, the best."""
        count = len(self.detections)
        if not count:
            raise CondetrError(f"detection {number}: {nothing_found(self)}. {ADVICE}")
        if not _is_whole(number) or not 0 <= number < count:
            raise CondetrError(f"detection {number}: there {'is' if count == 1 else 'are'} {count}, counted from 0")
        return int(self.detections.queries[number]), int(self.detections.labels[number])

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.witnessed.parts

    def maps(self, queries: list[int], layer: int) -> Float[Tensor, "P H M h w"]:
        """Where queries look in one decoder layer, in the parts that `parts` names."""
        chosen = torch.tensor([queries], device=self.witnessed.padding.device)
        return self.witnessed.gaze(layer, chosen).maps[:, 0].cpu()

    def relative(self, queries: list[int]) -> Float[Tensor, "M 4"]:
        """The queries' boxes (xyxy) in parts of the image's sides."""
        return torch.tensor(self.boxes[-1, queries] / np.array([*self.size, *self.size], dtype=np.float32))

    def encoder_maps(self, layer: int, points: list[Point]) -> Float[np.ndarray, "M H h w"]:
        """Where the cells at some points look in the self-attention of one encoder layer."""
        rows, columns = self.grid
        (width, height) = self.size
        cells = [
            min(int(y * rows / height), rows - 1) * columns + min(int(x * columns / width), columns - 1)
            for x, y in points
        ]
        chosen = torch.tensor([cells], device=self.witnessed.padding.device)
        return self.witnessed.self_attention(layer, chosen)[0].transpose(0, 1).cpu().numpy()

    def nearest(self, at: Point, limit: int = 8) -> tuple[Candidate, ...]:
        """The queries whose answer is about a point: boxes that hold it, best score first, then the nearest boxes."""
        x, y = self.inside(at)
        boxes, scores, labels = self.boxes[-1], self.scores[-1], self.labels[-1]
        beyond = np.maximum(np.maximum(boxes[:, :2] - [x, y], [x, y] - boxes[:, 2:]), 0)
        distance = np.linalg.norm(beyond, axis=1)
        kept = set(self.detections.queries.tolist())
        return tuple(
            Candidate(
                query=query,
                label=int(labels[query]),
                name=self.categories.name(int(labels[query])),
                score=float(scores[query]),
                box=tuple(boxes[query].tolist()),
                reference=tuple(self.references[query].tolist()),
                covers=bool(distance[query] == 0),
                kept=query in kept,
            )
            for query in np.lexsort((-scores, distance))[:limit].tolist()
        )

    def inside(self, at: Point) -> Point:
        """The point itself, if it is one of the image."""
        width, height = self.size
        try:
            x, y = (float(number) for number in at)
        except (TypeError, ValueError):
            raise CondetrError(f"at {at!r}: a point is two numbers, (x, y) in pixels of the image") from None
        if not (0 <= x <= width and 0 <= y <= height):
            raise CondetrError(f"at {x:g},{y:g}: outside the image, which is {width} x {height} pixels")
        return x, y

    def score(self, query: int, label: int) -> float:
        """What a query answers a label with."""
        found = (self.all_detections.queries == query) & (self.all_detections.labels == label)
        return float(self.all_detections.scores[found][0]) if found.any() else float(self.scores[-1, query])


def look(predictor: Predictor, image: Source, threshold: Threshold = 0.5) -> Scene:
    """Show an image to a detector, in one ordinary forward pass. Raises ImageError for one that cannot be read."""
    pixels = open_image(image)
    size = (pixels.shape[1], pixels.shape[0])
    witnessed = witness(predictor.detector, predictor.prepare([pixels]).to(predictor.device))
    predictions = witnessed.predictions
    (detections,) = decode(predictions, predictor.scoring, [size], predictor.categories)
    real = torch.tensor(predictor.categories.real, device=predictions.logits.device)
    scores, which = predictor.scoring.probabilities(predictions.logits[:, 0].float())[..., real].max(-1)
    scale = np.array([*size, *size], dtype=np.float32)
    return Scene(
        image=pixels,
        categories=predictor.categories,
        threshold=threshold,
        detections=detections.filter(min_score=predictor.bar(threshold)),
        all_detections=detections,
        boxes=cxcywh_to_xyxy(predictions.boxes[:, 0].float()).cpu().numpy() * scale,
        scores=scores.cpu().numpy(),
        labels=real[which].cpu().numpy(),
        references=witnessed.reference[0].cpu().numpy() * scale[:2],
        witnessed=witnessed,
    )


def layer_of(number: int, layers: int) -> int:
    """A layer's number counted from 0, from one that may count from the end. Raises CondetrError if there is none."""
    if not _is_whole(number) or not -layers <= number < layers:
        raise CondetrError(f"layer {number}: this decoder has layers 0 to {layers - 1}; -1 is the last")
    return int(number) % layers


def enough(threshold: Threshold) -> str:
    """What a detection scores, in words."""
    return (
        "what the weights recommend for its class, or more" if threshold == "best" else f"{float(threshold):g} or more"
    )


def nothing_found(scene: Scene) -> str:
    """Why there is no detection. The score is rounded down, so that it never seems to reach the threshold."""
    best = scene.all_detections
    if not len(best):
        return f"nothing scores {enough(scene.threshold)}; there is no answer at all"
    score = floor(1000 * float(best.scores[0])) / 1000
    return f"nothing scores {enough(scene.threshold)}; the best is {best.names[0]} with {score:.3f}"


def _is_whole(number: object) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)
