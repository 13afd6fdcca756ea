"""One panel of a figure: the image, or an attention map over it, with the box, its extremities and the points."""

from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image

from ..images.color import LUMA
from ..shapes import Float, UInt8
from .explanation import Explanation
from .page_image import COLORMAP

BOX, REFERENCE = "#ffffff", "#38e1ff"  # colors of the box and its extremities, and of the reference point
GIVEN_POINT = "#ff5ad0"  # color of the point given with `at`

Pixels = UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True, slots=True)
class Panel:
    """A copy of the image on the canvas. Lines are given in the image's pixels and clipped to the panel."""

    axes: Axes
    corner: np.ndarray
    scale: np.ndarray
    size: float
    clip: Rectangle

    def box(self, box: Float[np.ndarray, "4"], color: str, opacity: float) -> None:
        """A dashed box."""
        (x1, y1), (x2, y2) = (self.corner + corner * self.scale for corner in (box[:2], box[2:]))
        patch = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=1.3, ls="--", alpha=opacity)
        self.axes.add_patch(patch).set_clip_path(self.clip)

    def line(self, points: Float[np.ndarray, "M 2"], style: str, **properties: Any) -> None:
        (line,) = self.axes.plot(*(self.corner + points * self.scale).T, style, **properties)
        line.set_clip_path(self.clip)

    def marks(self, one: Explanation) -> None:
        """Draw the box, its extremities, and the reference point and the given point where there is one."""
        x1, y1, x2, y2 = one.box.tolist()
        around = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]])
        self.line(around, "-", color="#000000", lw=2.6 * self.size, alpha=0.6)
        self.line(around, "-", color=BOX, lw=1.1 * self.size)
        self.line(one.extremities, "o", ms=3.4 * self.size, mfc=BOX, mec="#000000", mew=0.7 * self.size)
        if "spatial" in one.parts:
            for color, width in (("#000000", 3.4), (REFERENCE, 1.7)):
                self.line(one.reference[None], "+", ms=8 * self.size, color=color, mew=width * self.size)
        if one.point_given:
            for color, width in (("#000000", 3.4), (GIVEN_POINT, 1.7)):
                self.line(np.array([one.point]), "x", ms=7 * self.size, color=color, mew=width * self.size)


def heatmap(image: Pixels, attention: Float[np.ndarray, "h w"]) -> Pixels:
    """An image in grey with an attention map over it. The highest cell has the brightest color; cells with less than
    uniform attention have none, and a map whose maximum is below twice the uniform attention is faint."""
    height, width = image.shape[:2]
    mean, highest = float(attention.mean()), float(attention.max())
    above = ((attention - mean) / max(highest - mean, 1e-12)).clip(0).astype(np.float32)
    map_ = Image.fromarray(above).resize((width, height), Image.Resampling.BICUBIC)
    intensity = np.asarray(map_).clip(0)
    intensity = (intensity / max(intensity.max(), 1e-12))[..., None]
    grey = (image @ LUMA)[..., None] * 0.75 + 24
    color = matplotlib.colormaps[COLORMAP](0.15 + 0.85 * intensity[..., 0])[..., :3] * 255
    opacity = 0.88 * intensity**0.75 * np.clip(highest / max(mean, 1e-12) - 1, 0.1, 1)
    return (grey * (1 - opacity) + color * opacity).clip(0, 255).round().astype(np.uint8)
