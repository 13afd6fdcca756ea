"""Predicts the images of `valid` from features that are kept between evaluations, while the backbone is frozen.

On a CPU, images are predicted one by one if padding does not change their features. There, the boxes are bitwise those
of a `Predictor`, and the scores are equal up to the rounding of the last digit.
"""

from collections.abc import Callable, Iterable, Iterator

import torch

from ..build import build_prepare, build_scoring
from ..checkpoint import Weights
from ..decoding import decode
from ..detections import Detections
from ..errors import ImageError
from ..images.decode import Pixels
from ..images.prepare import pad
from ..model.backbone import Backbone
from ..predicting.selection import Selection
from ..runtime.folded import folded
from ..types import ComputedImages, Sample
from .features import FeatureCache


class FeaturePredictor:
    """Predicts with the current `weights`, and keeps the features that their backbone computes in `cache`, in single
    precision.

    All predictors that use a cache must have the same backbone.
    """

    def __init__(self, weights: Weights, cache: FeatureCache) -> None:
        self.detector, self.cache = folded(weights.detector, torch.float32), cache
        self.prepare, self.scoring = build_prepare(weights.config.data), build_scoring(weights.config.model.scoring)
        self.categories, self.nms = weights.categories, weights.config.model.nms

    def stream(
        self, sources: Iterable[Sample], threshold: float, batch: int, read: Callable[[Sample], Pixels]
    ) -> Iterator[tuple[Sample, Detections | ImageError]]:
        """Pairs of an image and its detections, or the reason why it cannot be read. `batch` has no effect."""
        selection = Selection.of(threshold, self.categories, nms=self.nms)
        for sample in sources:
            try:
                yield sample, selection(self._predicted(sample, read, selection.limit))
            except ImageError as error:
                yield sample, error

    @torch.inference_mode()
    def _predicted(self, sample: Sample, read: Callable[[Sample], Pixels], limit: int | None) -> Detections:
        width, height = self.prepare.fit(sample.truth.size)
        if sample.path in self.cache:
            features = self.cache[sample.path]
        else:
            image = read(sample)
            if image.shape[1::-1] != sample.truth.size:
                raise ImageError("has another size than its labels assume")
            features = self.detector.backbone(pad([self.prepare.scale(image)]))
            self.cache.keep(sample.path, features)
        images = ComputedImages.of(features, torch.zeros(1, height, width, dtype=torch.bool), ragged=False)
        predictions = self.detector.predict(images)
        return decode(predictions, self.scoring, [sample.truth.size], self.categories, limit)[0]


def same_weights(one: Backbone, other: Backbone) -> bool:
    """Whether two backbones of a run compute the same."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
