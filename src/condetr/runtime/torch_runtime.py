"""Executes a detector with PyTorch: as it is, folded for inference, or folded and compiled.

On a CPU, each image of a batch is executed alone and without its padding: batches are no faster on a CPU, and
computing the padding would be wasted time. This needs a backbone whose features do not depend on the padding.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ..decoding import decode
from ..detections import Detections
from ..engine.torch_defaults import thread_defaults
from ..images.prepare import pad
from ..model.detector import Detector
from ..scoring import Scoring
from ..types import Categories, Images, Predictions
from .folded import folded
from .runtime import Runtime, Scaled

Predict = Callable[[Images], Predictions]


class TorchRuntime:
    """Make one with `plain`, `folded` or `compiled`."""

    def __init__(self, predict: Predict, precision: torch.dtype, splits: bool) -> None:
        """`predict` takes images in `precision`; `splits`: whether a batch may be split into its images on a CPU."""
        self.predict, self.precision, self.splits = predict, precision, splits

    @classmethod
    def plain(cls, detector: Detector) -> "TorchRuntime":
        """The detector itself, with the weights that it has when `run` is called."""
        return cls(detector.predict, torch.float32, _splits(detector))

    @classmethod
    def folded(cls, detector: Detector, precision: torch.dtype) -> "TorchRuntime":
        """A folded copy of the detector, made from its current weights: make a new copy when they change.

        `precision` is float32, with the predictions of the detector up to rounding, or bfloat16, which takes half the
        time on processors that support it and changes logits by some hundredths.
        """
        return cls(folded(detector, precision).predict, precision, _splits(detector))

    @classmethod
    def compiled(cls, detector: Detector, precision: torch.dtype) -> "TorchRuntime":
        """The folded copy, compiled by `torch.compile` in the first call of `run`, once for most image sizes.

        On a CPU this takes minutes and needs a C++ compiler.
        """
        return cls(_compiled(folded(detector, precision).predict), precision, _splits(detector))

    @torch.inference_mode()
    def run(self, images: Images) -> Predictions:
        """The predictions of the last decoder layer (S = 1), in float32, without gradients."""
        batches = _each(images) if self.splits and images.pixels.device.type == "cpu" else [images]
        predictions = [
            self.predict(Images(batch.pixels.to(self.precision), batch.padding, batch.ragged)) for batch in batches
        ]
        return Predictions(
            logits=torch.cat([part.logits.float() for part in predictions], dim=1),
            boxes=torch.cat([part.boxes.float() for part in predictions], dim=1),
        )


class DetectorRuntime(Runtime):
    """A detector in memory, executed with PyTorch."""

    most = None

    def __init__(self, runtime: TorchRuntime, scoring: Scoring, device: torch.device) -> None:
        self.runtime, self.scoring, self.device = runtime, scoring, device

    @thread_defaults()
    def detect(
        self, images: Sequence[Scaled], sizes: Sequence[tuple[int, int]], categories: Categories, limit: int | None
    ) -> list[Detections]:
        predictions = self.runtime.run(pad(images, self.device))
        return decode(predictions, self.scoring, sizes, categories, limit)


def _splits(detector: Detector) -> bool:
    return detector.backbone.exact


def _compiled(predict: Predict) -> Predict:
    """torch.compile needs functions from tensors to tensors."""

    def tensors(pixels: Tensor, padding: Tensor, ragged: bool) -> tuple[Tensor, Tensor]:
        predictions = predict(Images(pixels, padding, ragged))
        return predictions.logits, predictions.boxes

    compiled = torch.compile(tensors, dynamic=True)
    return lambda images: Predictions(*compiled(images.pixels, images.padding, images.ragged))


def _each(images: Images) -> Iterator[Images]:
    """Each image as a batch of its own, without padding."""
    for pixels, padding, (w, h) in zip(images.pixels, images.padding, images.sizes.tolist()):
        yield Images(pixels[None, :, :h, :w], padding[None, :h, :w], ragged=False)
