"""Where one query looked, and how it came to its box.

`explain` answers for one detection; out of a `Scene` any number of `Explanation.of` are made. (The verb is no module
called `explain`, so that `from condetr import explain` is the function.)
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..errors import CondetrError
from ..images.decode import Source
from ..predicting.predictor import Predictor
from ..shapes import Float, Int, UInt8
from .attention_maps import Part
from .extremities import extremities, looks_at, mass_centre, peak, shares
from .scene import Candidate, Point, Scene, Threshold, look


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where one query looked in one decoder layer, and how it came to its box. Points and boxes: pixels, x first.

    `maps` (parts, heads, rows, columns) sum to one over the grid, whose cells tile the image; `parts` names their
    first axis. `mass_centres` and `peaks` say where each map looks on average and most; `looks_at` is the landmark
    (index of `condetr.model.landmarks.LANDMARKS`) that the peak is at; `inside` and `border` are the parts of the
    attention inside the box and near its border, the `*_uniform` those of attention that looks nowhere.
    `extremities` are the middles of the box's left, top, right and bottom side. `layer_*` are the answers after each
    decoder layer, the label being the best class. `kept`: it is a detection; if not, its score is too low. `encoder`
    (layers, heads, rows, columns) is where the encoder looks from `point`, the one asked about (`asked`) or the middle
    of the box; `nearest` are the queries nearest to it.
    """

    image: UInt8[np.ndarray, "height width 3"]
    query: int
    label: int
    name: str
    score: float
    kept: bool
    box: Float[np.ndarray, "4"]
    reference: Float[np.ndarray, "2"]
    extremities: Float[np.ndarray, "4 2"]
    layer: int
    parts: tuple[Part, ...]
    maps: Float[np.ndarray, "P H h w"]
    mass_centres: Float[np.ndarray, "P H 2"]
    peaks: Float[np.ndarray, "P H 2"]
    looks_at: Int[np.ndarray, "P H"]
    inside: Float[np.ndarray, "P H"]
    border: Float[np.ndarray, "P H"]
    inside_uniform: float
    border_uniform: float
    layer_boxes: Float[np.ndarray, "S 4"]
    layer_scores: Float[np.ndarray, " S"]
    layer_labels: Int[np.ndarray, " S"]
    layer_names: tuple[str, ...]
    point: Point
    asked: bool
    encoder: Float[np.ndarray, "T H h w"]
    nearest: tuple[Candidate, ...]

    @classmethod
    def of(cls, scene: Scene, query: int, label: int, layer: int, at: Point | None = None) -> "Explanation":
        """Where a query looked on its way to its answer; `at` is the point that the encoder looks from."""
        layer = scene.layer(layer)
        width, height = scene.size
        scale = np.array([width, height], dtype=np.float32)
        box = scene.boxes[-1, query]
        relative, maps = scene.relative([query]), scene.maps([query], layer)
        places, tops, falls = mass_centre(maps), peak(maps), shares(maps, relative)
        middle = ((box[:2] + box[2:]) / 2).clip(0, scale)
        point = scene.inside(at) if at is not None else (float(middle[0]), float(middle[1]))
        within = [scene.encoder_maps(i, [point])[0] for i in range(len(scene.witnessed.encoder))]
        return cls(
            image=scene.image,
            query=query,
            label=label,
            name=scene.categories.name(label),
            score=scene.score(query, label),
            kept=bool(((scene.detections.queries == query) & (scene.detections.labels == label)).any()),
            box=box,
            reference=scene.references[query],
            extremities=extremities(torch.tensor(box)).numpy(),
            layer=layer,
            parts=scene.parts,
            maps=maps[:, :, 0].numpy(),
            mass_centres=places[:, :, 0].numpy() * scale,
            peaks=tops[:, :, 0].numpy() * scale,
            looks_at=looks_at(maps, relative)[:, :, 0].numpy(),
            inside=falls.inside[..., 0].numpy(),
            border=falls.border[..., 0].numpy(),
            inside_uniform=falls.inside_uniform.item(),
            border_uniform=falls.border_uniform.item(),
            layer_boxes=scene.boxes[:, query],
            layer_scores=scene.scores[:, query],
            layer_labels=scene.labels[:, query],
            layer_names=tuple(scene.categories.name(layer) for layer in scene.labels[:, query].tolist()),
            point=point,
            asked=at is not None,
            encoder=np.stack(within) if within else np.empty((0, maps.shape[1], *scene.grid), np.float32),
            nearest=scene.nearest(point),
        )


def explain(
    predictor: Predictor,
    image: Source,
    detection: int | None = None,
    at: Point | None = None,
    layer: int = -1,
    threshold: Threshold = 0.5,
) -> Explanation:
    """Where a detector looked, in one decoder layer, for one detection (the best unless said, counted from 0).

    `at=(x, y)` in pixels instead explains the query whose answer is about that point, found or not. Raises CondetrError
    where there is no such detection, layer or point.
    """
    scene = look(predictor, image, threshold)
    if at is not None:
        if detection is not None:
            raise CondetrError("give a detection or a point, not both")
        candidate = scene.nearest(at, limit=1)[0]
        return Explanation.of(scene, candidate.query, candidate.label, layer, at)
    query, label = scene.detection(0 if detection is None else detection)
    return Explanation.of(scene, query, label, layer)
