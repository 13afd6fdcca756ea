"""How much attention falls on objects, and what each head looks at, averaged over many detections."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..boxes import generalized_iou
from ..errors import CondetrError
from ..images.decode import Source
from ..predicting.predictor import Predictor
from ..shapes import Float
from ..types import Sample
from .attention_maps import Part
from .explanation import Explanation
from .extremities import LANDMARKS, distances
from .scene import Threshold, enough, look


@dataclass(frozen=True, slots=True)
class AttentionShares:
    """Means over `detections` of one decoder layer, for each part (spatial, content, combined) and head.

    `inside` and `border`: the part of the attention inside the box, and within a tenth of its sides of its border;
    `inside_uniform` and `border_uniform` are those of attention that looks nowhere (for `inside`, the box's area).
    `roles`: the landmark (inside, left, top, right, bottom, elsewhere) that the head's peak is most often at;
    `agreement`: in which part of the detections it is. `places`: the mean of the maps' mass centres in the box's own
    coordinates, where (-1, 0) is the middle of the left side; `distances`: the mean of how far they are from the first
    five landmarks, in half sides of the box.
    """

    layer: int
    parts: tuple[Part, ...]
    detections: int
    inside: Float[np.ndarray, "P H"]
    border: Float[np.ndarray, "P H"]
    inside_uniform: float
    border_uniform: float
    roles: tuple[tuple[str, ...], ...]
    agreement: Float[np.ndarray, "P H"]
    places: Float[np.ndarray, "P H 2"]
    distances: Float[np.ndarray, "P H 5"]


def attention_shares(
    predictor: Predictor,
    images: Source | Iterable[Source],
    threshold: Threshold = 0.5,
    layer: int = -1,
) -> AttentionShares:
    """Measure a detector's attention on its own detections in an image or some, which are seen one by one.

    Raises CondetrError where nothing is detected in any of them, and for a layer that does not exist.
    """
    seen: list[Explanation] = []
    one = isinstance(images, str | bytes | Path | np.ndarray | Image.Image) or hasattr(images, "read")
    sources: Iterable[Source] = [images] if one else images  # type: ignore[list-item, assignment]
    for image in sources:
        scene = look(predictor, image, threshold)
        queries, labels = scene.detections.queries.tolist(), scene.detections.labels.tolist()
        seen += [Explanation.of(scene, query, label, layer) for query, label in zip(queries, labels)]
    if not seen:
        raise CondetrError(f"nothing scores {enough(threshold)} in these images. Lower the threshold")
    return average(seen)


def object_shares(predictor: Predictor, samples: Iterable[Sample], layer: int = -1) -> AttentionShares:
    """The same for labelled objects, each seen by the query whose box fits it best (GIoU), sure of itself or not.

    So detectors that find unequally much are measured on the same objects. Crowd regions are left out. Raises
    CondetrError where no object is labelled, and for a layer that does not exist.
    """
    seen: list[Explanation] = []
    for sample in samples:
        objects = ~sample.truth.crowd
        if not objects.any():
            continue
        scene = look(predictor, sample.path)
        fit = generalized_iou(*(torch.as_tensor(b) for b in (sample.truth.boxes[objects, None], scene.boxes[-1][None])))
        seen += [Explanation.of(scene, q, int(scene.labels[-1, q]), layer) for q in fit.argmax(-1).tolist()]
    if not seen:
        raise CondetrError("no object is labelled in these images: there is nothing to look at")
    return average(seen)


def average(seen: list[Explanation]) -> AttentionShares:
    """The means over explanations of one layer of one detector."""
    looks_at = np.stack([one.looks_at for one in seen])
    counts = (looks_at[..., None] == np.arange(len(LANDMARKS))).mean(0)
    places = [_within_box(one) for one in seen]
    return AttentionShares(
        layer=seen[0].layer,
        parts=seen[0].parts,
        detections=len(seen),
        inside=_mean([one.inside for one in seen]),
        border=_mean([one.border for one in seen]),
        inside_uniform=float(np.mean([one.inside_uniform for one in seen])),
        border_uniform=float(np.mean([one.border_uniform for one in seen])),
        roles=tuple(tuple(LANDMARKS[i] for i in row) for row in counts.argmax(-1).tolist()),
        agreement=counts.max(-1),
        places=_mean(places),
        distances=_mean([distances(torch.tensor(one)).numpy() for one in places]),
    )


def _within_box(one: Explanation) -> Float[np.ndarray, "P H 2"]:
    low, high = one.box[:2], one.box[2:]
    return (2 * one.mass_centres - low - high) / np.maximum(high - low, 1e-6)


def _mean(values: list[np.ndarray]) -> np.ndarray:
    return np.stack(values).astype(np.float64).mean(axis=0)
