"""How one query of a detector reached its box: its attention in one decoder layer and its predictions after each."""

from dataclasses import dataclass

import numpy as np
import torch

from ..engine.torch_defaults import torch_defaults
from ..shapes import Float, Int, UInt8
from .attention_maps import Part
from .extremities import extremities, mass_centre, peak, peak_region, shares
from .image_record import Candidate, ImageRecord, Point, layer_index


@dataclass(frozen=True, slots=True)
class Explanation:
    """The attention of one query in one decoder layer, and how its box came about. Points and boxes are in pixels,
    x first; boxes are xyxy.

    Attributes:
        image: the image, RGB.
        query, label, name, score: the query and the class that it is explained for.
        detected, suppressed, beyond: it is a detection; non-maximum suppression left it out; or it is not among the
            best predictions of the image, of which 100 are kept. Otherwise its score is below the confidence threshold.
        box, reference: its box, and the reference point from which the layer started.
        extremities: the middles of the box's left, top, right and bottom side.
        layer: the decoder layer of the maps, counted from 0.
        parts: names of the first axis of the maps: spatial, content and combined, or combined alone (DETR).
        maps: (parts, heads, rows, columns); each map sums to one over the grid, whose cells tile the image.
        mass_centres, peaks: the mean position of each map and the middle of its highest cell.
        peak_regions: where on the object the highest cell is, as an index in `condetr.explaining.extremities.REGIONS`.
        inside, border: the fractions of each map inside the box and near its border.
        inside_uniform, border_uniform: those of a uniform map.
        layer_boxes, layer_scores, layer_labels, layer_names: the predictions after each decoder layer; the label is
            the best class.
        point: the point that `encoder` and `nearest` are for: the given one (`point_given`) or the middle of the box.
        encoder: (layers, heads, rows, columns), the encoder's self-attention maps of the cell that contains `point`.
        nearest: the queries nearest to `point`.
    """

    image: UInt8[np.ndarray, "height width 3"]
    query: int
    label: int
    name: str
    score: float
    detected: bool
    suppressed: bool
    beyond: bool
    box: Float[np.ndarray, "4"]
    reference: Float[np.ndarray, "2"]
    extremities: Float[np.ndarray, "4 2"]
    layer: int
    parts: tuple[Part, ...]
    maps: Float[np.ndarray, "P H h w"]
    mass_centres: Float[np.ndarray, "P H 2"]
    peaks: Float[np.ndarray, "P H 2"]
    peak_regions: Int[np.ndarray, "P H"]
    inside: Float[np.ndarray, "P H"]
    border: Float[np.ndarray, "P H"]
    inside_uniform: float
    border_uniform: float
    layer_boxes: Float[np.ndarray, "S 4"]
    layer_scores: Float[np.ndarray, " S"]
    layer_labels: Int[np.ndarray, " S"]
    layer_names: tuple[str, ...]
    point: Point
    point_given: bool
    encoder: Float[np.ndarray, "T H h w"]
    nearest: tuple[Candidate, ...]

    def __repr__(self) -> str:
        heads, rows, columns = self.maps.shape[1:]
        maps = f"{', '.join(self.parts)} maps of {heads} heads ({rows} x {columns})"
        return f"<Explanation of {self.name} {self.score:.2f}: query {self.query}, decoder layer {self.layer}, {maps}>"

    @classmethod
    @torch_defaults()
    def of(cls, record: ImageRecord, query: int, label: int, layer: int, at: Point | None = None) -> "Explanation":
        """The explanation of one query and label. `at` is the point of the encoder's maps, by default the box's middle.

        Raises CondetrError for a layer or a point that does not exist.
        """
        layer = layer_index(layer, record.layers)
        width, height = record.size
        scale = np.array([width, height], dtype=np.float32)
        box = record.boxes[-1, query]
        relative, maps = record.relative_boxes([query]), record.maps([query], layer)
        centres, peaks, fractions = mass_centre(maps), peak(maps), shares(maps, relative)
        middle = ((box[:2] + box[2:]) / 2).clip(0, scale)
        point = record.inside(at) if at is not None else (float(middle[0]), float(middle[1]))
        encoder = [record.encoder_maps(i, [point])[0] for i in range(record.encoder_layers)]
        detections = record.detections
        return cls(
            image=record.image,
            query=query,
            label=label,
            name=record.categories.name(label),
            score=record.score(query, label),
            detected=bool(((detections.queries == query) & (detections.labels == label)).any()),
            suppressed=(query, label) in record.suppressed(),
            beyond=query in record.beyond(),
            box=box,
            reference=record.references[layer, query],
            extremities=extremities(torch.tensor(box)).numpy(),
            layer=layer,
            parts=record.parts,
            maps=maps[:, :, 0].numpy(),
            mass_centres=centres[:, :, 0].numpy() * scale,
            peaks=peaks[:, :, 0].numpy() * scale,
            peak_regions=peak_region(maps, relative)[:, :, 0].numpy(),
            inside=fractions.inside[..., 0].numpy(),
            border=fractions.border[..., 0].numpy(),
            inside_uniform=fractions.inside_uniform.item(),
            border_uniform=fractions.border_uniform.item(),
            layer_boxes=record.boxes[:, query],
            layer_scores=record.scores[:, query],
            layer_labels=record.labels[:, query],
            layer_names=tuple(record.categories.name(number) for number in record.labels[:, query].tolist()),
            point=point,
            point_given=at is not None,
            encoder=np.stack(encoder) if encoder else np.empty((0, maps.shape[1], *record.grid), np.float32),
            nearest=record.nearest(point),
        )
