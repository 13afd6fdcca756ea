"""Executes an exported file. Each image is executed alone and without padding: on a CPU batches are no faster."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from ..detections import Detections
from ..errors import CondetrError, WeightsError, first_line
from ..plural import counted
from ..shapes import Float, Int, Int64, UInt8
from ..types import Categories
from .exported_graph import INPUTS, OUTPUTS
from .file_facts import FileFacts
from .runtime import Runtime, Scaled

NOT_OURS = "its inputs or outputs are not those of an exported detector. Export it again"
Outputs = tuple[np.ndarray, np.ndarray, np.ndarray]  # boxes B M 4, scores B M (float32), labels B M (int64)


class FileRuntime(Runtime):
    """`file` is what is executed, `facts` are its metadata."""

    file: Path
    facts: FileFacts

    @property
    def most(self) -> int:  # type: ignore[override]
        return self.facts.limit

    @abstractmethod
    def execute(self, images: UInt8[np.ndarray, "B H W 3"], sizes: Int64[np.ndarray, "B 2"]) -> Sequence[np.ndarray]:
        """The arrays that the file returns for OUTPUTS. Raises CondetrError where memory does not suffice."""

    def infer(self, images: UInt8[np.ndarray, "B H W 3"], sizes: Int64[np.ndarray, "B 2"]) -> Outputs:
        """The outputs of the graph, see `ExportedGraph`. Raises CondetrError where memory does not suffice,
        WeightsError where they are not those of a detector with the categories of the metadata."""
        boxes, scores, labels = self.execute(images, sizes)
        shape = (len(images), scores.shape[-1] if scores.ndim else 0)
        if not (scores.shape == labels.shape == shape and boxes.shape == (*shape, 4) and labels.dtype.kind in "iu"):
            raise WeightsError(f"{self.file}: {NOT_OURS}")
        if labels.size and not (labels.min() >= 0 and labels.max() < len(self.facts.categories)):
            known = counted(len(self.facts.categories), "category")
            raise WeightsError(f"{self.file}: its labels do not belong to the {known} of its metadata. Export it again")
        return boxes.astype(np.float32, copy=False), scores.astype(np.float32, copy=False), labels.astype(np.int64)

    def detect(
        self, images: Sequence[Scaled], sizes: Sequence[tuple[int, int]], categories: Categories, limit: int | None
    ) -> list[Detections]:
        found = []
        for image, size in zip(images, sizes, strict=True):
            outputs = self.infer(image[None], np.array([[image.shape[1], image.shape[0]]]))
            boxes, scores, labels = (output[0] for output in outputs)
            found.append(_detections(boxes, scores, labels, categories, size)[:limit])
        return found

    def detect_padded(
        self, images: Sequence[Scaled], sizes: Sequence[tuple[int, int]], categories: Categories
    ) -> list[Detections]:
        """As `detect`, but all images in one padded batch, as other programs may run the file."""
        shape = [max(image.shape[side] for image in images) for side in (0, 1)]
        batch = np.full((len(images), *shape, 3), 255, np.uint8)  # padding may hold anything
        for part, image in zip(batch, images):
            part[: image.shape[0], : image.shape[1]] = image
        outputs = self.infer(batch, np.array([[image.shape[1], image.shape[0]] for image in images]))
        return [
            _detections(boxes, scores, labels, categories, size)
            for boxes, scores, labels, size in zip(*outputs, sizes, strict=True)
        ]

    def check_interface(self, inputs: Collection[str], outputs: Collection[str]) -> None:
        """Raises WeightsError where these are not the names of the graph's inputs and outputs."""
        if set(inputs) != set(INPUTS) or not set(OUTPUTS) <= set(outputs):
            raise WeightsError(f"{self.file}: {NOT_OURS}")

    def failed(self, error: Exception, library: str, images: UInt8[np.ndarray, "B H W 3"]) -> CondetrError:
        """The error for images on which a library fails."""
        if is_out_of_memory(error):
            return self._too_large(images)
        return CondetrError(f"{self.file}: {library} failed ({first_line(error)})")

    def _too_large(self, images: UInt8[np.ndarray, "B H W 3"]) -> CondetrError:
        batch, height, width = images.shape[:3]
        several = f"{batch} images" if batch > 1 else "an image"
        return CondetrError(f"{self.file}: {several} of {width} x {height} pixels: not enough memory for this size")


def is_out_of_memory(error: Exception) -> bool:
    """Whether a library's error means that memory does not suffice."""
    return isinstance(error, MemoryError) or "alloc" in str(error).lower()


def _detections(
    boxes: Float[np.ndarray, "M 4"],
    scores: Float[np.ndarray, " M"],
    labels: Int[np.ndarray, " M"],
    categories: Categories,
    size: tuple[int, int],
) -> Detections:
    """The file does not say which query predicted a box. Detections with the same box have the same one, and queries
    are numbered by their first detection."""
    first: dict[bytes, int] = {}
    queries = np.array([first.setdefault(box.tobytes(), len(first)) for box in boxes], np.int64)
    pixels = boxes * np.array([*size, *size], np.float32)
    return Detections(pixels, scores, labels, queries, categories, (int(size[0]), int(size[1])))
