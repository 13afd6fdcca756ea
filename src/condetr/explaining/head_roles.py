"""How much of the attention falls on objects, and which part of them each head attends to, as means over detections."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..arguments import instance_of
from ..boxes import generalized_iou
from ..errors import CondetrError, ImageError
from ..plural import counted
from ..predicting.inputs import InMemory, Name, inputs, is_one_image
from ..predicting.predictor import Predictor
from ..predicting.selection import Threshold
from ..shapes import Float, Int
from ..types import Sample
from .attention_maps import Part
from .explanation import Explanation
from .extremities import REGIONS, distances
from .recording import record_image
from .thresholds import none_reaches, resolve


@dataclass(frozen=True, slots=True)
class AttentionShares:
    """Means over `detections` (their number) of one decoder layer, for each part (axis P) and head (axis H).

    Attributes:
        layer, parts: the decoder layer, and the names of the first axis.
        inside, border: the fraction of the attention inside the box, and within a tenth of its sides of its border.
        inside_uniform, border_uniform: those of a uniform map (for `inside`, the box's fraction of the image).
        roles: the region (inside, left, top, right, bottom, elsewhere) in which the head's peak is most often.
        agreement: the fraction of the detections for which it is.
        mass_centres: the mean position of the maps, in box coordinates, where (-1, 0) is the middle of the left side.
        distances: the mean distance of the maps' positions from the box's middle and its left, top, right and bottom
            extremity, in half sides of the box.
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
    mass_centres: Float[np.ndarray, "P H 2"]
    distances: Float[np.ndarray, "P H 5"]

    def __repr__(self) -> str:
        maps = f"{', '.join(self.parts)} maps of {self.inside.shape[1]} heads"
        return f"<AttentionShares over {counted(self.detections, 'detection')}: decoder layer {self.layer}, {maps}>"


@dataclass(frozen=True, slots=True)
class Measurement:
    """The numbers of one explanation that enter the means; unlike the explanation it does not keep the image."""

    layer: int
    parts: tuple[Part, ...]
    inside: Float[np.ndarray, "P H"]
    border: Float[np.ndarray, "P H"]
    inside_uniform: float
    border_uniform: float
    peak_regions: Int[np.ndarray, "P H"]
    mass_centres: Float[np.ndarray, "P H 2"]

    @classmethod
    def of(cls, one: Explanation) -> "Measurement":
        low, high = one.box[:2], one.box[2:]
        return cls(
            layer=one.layer,
            parts=one.parts,
            inside=one.inside,
            border=one.border,
            inside_uniform=one.inside_uniform,
            border_uniform=one.border_uniform,
            peak_regions=one.peak_regions,
            mass_centres=(2 * one.mass_centres - low - high) / np.maximum(high - low, 1e-6),
        )


def attention_shares(
    predictor: Predictor,
    images: Name | InMemory | Iterable[Name | InMemory],
    threshold: Threshold = None,
    layer: int = -1,
) -> AttentionShares:
    """Measure a detector's attention on its own detections.

    Args:
        predictor: the detector.
        images: one image or several, as `Predictor` takes them; they are read one by one.
        threshold: the confidence threshold, as for `Predictor`: None takes those stored in the weights, or 0.5.
        layer: the decoder layer, counted from 0; -1 is the last.

    Raises CondetrError where no image has a detection and for a layer that does not exist, ImageError for an image
    that cannot be read.
    """
    instance_of(predictor, "predictor", Predictor, "a Predictor")
    measured: list[Measurement] = []
    alone = is_one_image(images) or isinstance(images, Name)  # a folder or a glob is one name
    several: Iterable[Any] = [images] if alone else images  # type: ignore[assignment]
    for number, image in enumerate(inputs(several)):
        try:
            record = record_image(predictor, image.open(), threshold)
        except ImageError as error:
            raise ImageError(f"{image.file or f'image {number}'}: {error}") from None
        pairs = zip(record.detections.queries.tolist(), record.detections.labels.tolist())
        measured += [Measurement.of(Explanation.of(record, query, label, layer)) for query, label in pairs]
    if not measured:
        raise CondetrError(f"{none_reaches(resolve(threshold, predictor))} in these images. Lower the threshold")
    return average(measured)


def object_shares(predictor: Predictor, samples: Iterable[Sample], layer: int = -1) -> AttentionShares:
    """Measure a detector's attention on labelled objects, so that detectors are compared on the same objects.

    Each object is measured with the query whose box fits it best (highest GIoU), whatever its score. Crowd regions are
    left out. `samples` are those of a data set's split; `layer` is the decoder layer, -1 the last.

    Raises CondetrError where no object is labelled and for a layer that does not exist.
    """
    instance_of(predictor, "predictor", Predictor, "a Predictor")
    expected = "the samples of a split, such as condetr.examine(data).dataset.split('valid')"
    instance_of(samples, "samples", Iterable, expected)
    measured: list[Measurement] = []
    for sample in samples:
        instance_of(sample, "samples", Sample, expected)
        objects = ~sample.truth.crowd
        if not objects.any():
            continue
        record = record_image(predictor, sample.path, 0.5)
        truth, boxes = torch.as_tensor(sample.truth.boxes[objects, None]), torch.as_tensor(record.boxes[-1][None])
        queries = generalized_iou(truth, boxes).argmax(-1).tolist()
        measured += [
            Measurement.of(Explanation.of(record, query, int(record.labels[-1, query]), layer)) for query in queries
        ]
    if not measured:
        raise CondetrError("no object is labelled in these images, so there is no attention to measure")
    return average(measured)


def average(measured: Sequence[Measurement]) -> AttentionShares:
    """The means over measurements of one layer of one detector."""
    regions = np.stack([one.peak_regions for one in measured])
    fractions = (regions[..., None] == np.arange(len(REGIONS))).mean(0)
    return AttentionShares(
        layer=measured[0].layer,
        parts=measured[0].parts,
        detections=len(measured),
        inside=_mean([one.inside for one in measured]),
        border=_mean([one.border for one in measured]),
        inside_uniform=float(np.mean([one.inside_uniform for one in measured])),
        border_uniform=float(np.mean([one.border_uniform for one in measured])),
        roles=tuple(tuple(REGIONS[i] for i in row) for row in fractions.argmax(-1).tolist()),
        agreement=fractions.max(-1),
        mass_centres=_mean([one.mass_centres for one in measured]),
        distances=_mean([distances(torch.tensor(one.mass_centres)).numpy() for one in measured]),
    )


def _mean(values: list[np.ndarray]) -> np.ndarray:
    return np.stack(values).astype(np.float64).mean(axis=0)
