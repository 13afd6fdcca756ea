"""The graph that an exported file holds: from the bytes of images to the boxes, scores and labels of their detections.

Normalisation, the detector, the ranking of scores and the decoding of boxes are all inside, so that a program that runs
the file needs nothing of this package.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..boxes import cxcywh_to_xyxy
from ..images.prepare import MEAN, STD
from ..model.detector import Detector
from ..model.timm_backbone import TimmBackbone
from ..scoring import Scoring
from ..shapes import Float, Int64, UInt8
from ..types import ComputedImages, Images
from .folded import folded

INPUTS = ("images", "sizes")
OUTPUTS = ("boxes", "scores", "labels")


class ExportedGraph(nn.Module):
    """`labels` are those that are classes; `limit` is the number M of detections of an image, at most all pairs.

    A file of a network of timm takes batches of one image size only (`ragged` is False): nothing is known about how its
    layers treat padding. Images that have padding then get scores of NaN, so that their boxes are no detections.
    """

    labels: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, detector: Detector, scoring: Scoring, labels: Sequence[int], limit: int) -> None:
        super().__init__()
        self.detector = folded(detector, torch.float32)
        self.scoring, self.limit = scoring, limit
        self.ragged = not isinstance(detector.backbone, TimmBackbone)
        mean, std = (torch.tensor(each, dtype=torch.float64) for each in (MEAN, STD))
        self.register_buffer("labels", torch.tensor(labels))
        self.register_buffer("scale", (1 / (255 * std)).float())
        self.register_buffer("shift", (-mean / std).float())
        self.eval()

    def forward(
        self, images: UInt8[Tensor, "B H W 3"], sizes: Int64[Tensor, "B 2"]
    ) -> tuple[Float[Tensor, "B _M 4"], Float[Tensor, "B _M"], Int64[Tensor, "B _M"]]:
        """Boxes (xyxy, as fractions of each image's own width and height), scores and labels, best first.

        `sizes` are the (width, height) in pixels of the images, each of which is in the top left corner of its array;
        what the array has beyond is not read.
        """
        width, height = sizes[:, :1], sizes[:, 1:]
        rows, columns = torch.arange(images.shape[1])[None], torch.arange(images.shape[2])[None]
        padding = (rows >= height)[:, :, None] | (columns >= width)[:, None]
        pixels = (images.float() * self.scale + self.shift).permute(0, 3, 1, 2).masked_fill(padding[:, None], 0)
        features = self.detector.backbone(Images(pixels, padding, self.ragged))
        # attention always has a mask: without one, OpenVINO computes it wrongly after a first image of one cell
        predictions = self.detector.predict(ComputedImages.of(features, padding, ragged=True))
        probability = self.scoring.probabilities(predictions.logits[-1])
        scores, queries, labels = self.scoring.rank(probability, self.labels, self.limit)
        boxes = cxcywh_to_xyxy(predictions.boxes[-1]).gather(1, queries[..., None].expand(-1, -1, 4))
        if not self.ragged:
            scores = scores.masked_fill(padding.flatten(1).any(1, keepdim=True), torch.nan)
        return boxes, scores, labels
