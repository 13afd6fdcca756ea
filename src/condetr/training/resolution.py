"""The image size of a run: large enough for the model's stride to resolve the data set's objects."""

from math import ceil

import numpy as np

from ..build import build_prepare
from ..config import Config, Data, override
from ..datasets.dataset import DataSet

STEP = 32  # pixels: sizes are multiples of it, as in the papers
MAX_FACTOR = 2.0  # of the side's length, which takes four times as long
MARGIN = 1.25  # strides that half of the objects should measure at least


def resolve_size(config: Config, dataset: DataSet) -> Config:
    """The config with `data.enlarge` applied: `data.size` is final, and `data.enlarge` is 0."""
    size, wanted = config.data.size, config.data.enlarge * config.model.backbone.stride
    median = median_side(dataset, config.data)
    if median is not None and median < wanted:
        size = int(min(4096, MAX_FACTOR * size, _rounded(size * wanted / median)))
    return config if not wanted else override(config, {"data.size": size, "data.enlarge": 0.0})


def size_messages(requested: Config, resolved: Config, dataset: DataSet) -> list[str]:
    """What the user should know about the size, in lines: that it was chosen, and that it is too small."""
    size, stride = resolved.data.size, resolved.model.backbone.stride
    before, median = median_side(dataset, requested.data), median_side(dataset, resolved.data)
    if before is None or median is None:
        return []
    lines = []
    if size != requested.data.size:
        lines.append(
            f"half of the objects are smaller than {before:.0f} pixels at size {requested.data.size}: images are "
            f"resized to {size}, which takes about {(size / requested.data.size) ** 2:.1f} times as long; "
            f"`size={requested.data.size}` keeps the recipe's size"
        )
    if median < stride:
        better = min(4096, _rounded(size * MARGIN * stride / median))
        lines.append(
            f"half of the objects are smaller than {median:.0f} pixels at size {size}, and the model's stride is "
            f"{stride}: `size={better}` would resolve them, and take about {(better / size) ** 2:.1f} times as long"
        )
    return lines


def median_side(dataset: DataSet, data: Data) -> float | None:
    """The median of the objects' √area, in pixels of the resized training images; None without objects."""
    sides = []
    for sample in dataset.split("train"):
        truth, (width, _) = sample.truth, sample.truth.size
        scale = build_prepare(data).fit(truth.size)[0] / width
        sides.append(np.sqrt((truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(-1))[~truth.crowd] * scale)
    return max(0.1, float(np.median(np.concatenate(sides)))) if any(map(len, sides)) else None


def _rounded(size: float) -> int:
    return ceil(size / STEP) * STEP
