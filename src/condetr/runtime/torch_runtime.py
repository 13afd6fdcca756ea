"""Executes a detector with PyTorch: as it is, folded for inference, or folded and compiled.

On a CPU, each image of a batch is executed alone and without its padding: batches are no faster on a CPU, and
computing the padding would be wasted time. This needs a backbone whose features do not depend on the padding.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..model.detector import Detector
from ..types import Images, Predictions
from .folded import folded
from .runtime import Runtime

Predict = Callable[[Images], Predictions]


class TorchRuntime(Runtime):
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
        batches = _each(images) if self.splits and images.pixels.device.type == "cpu" else [images]
        predictions = [
            self.predict(Images(batch.pixels.to(self.precision), batch.padding, batch.ragged)) for batch in batches
        ]
        return Predictions(
            logits=torch.cat([part.logits.float() for part in predictions], dim=1),
            boxes=torch.cat([part.boxes.float() for part in predictions], dim=1),
        )


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
    for pixels, padding in zip(images.pixels, images.padding):
        h, w = int((~padding[:, 0]).sum()), int((~padding[0]).sum())
        yield Images(pixels[None, :, :h, :w], padding[None, :h, :w], ragged=False)
