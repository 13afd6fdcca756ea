"""The interface through which a trained detector is executed, whatever executes it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from ..detections import Detections
from ..shapes import UInt8
from ..types import Categories

Scaled = UInt8[np.ndarray, "_ _ 3"]


class Runtime(ABC):
    """Executes one trained detector. `most` is the largest number of detections of an image; None: no limit."""

    most: int | None

    @abstractmethod
    def detect(
        self, images: Sequence[Scaled], sizes: Sequence[tuple[int, int]], categories: Categories, limit: int | None
    ) -> list[Detections]:
        """The best `limit` detections (None: all that the runtime has) of images at the detector's input size, however
        low their score. `sizes` are the original (width, height), to which the boxes belong."""
