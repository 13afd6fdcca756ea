"""The ground truth and the detections of a set of images as columns: small, and easy to send between processes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..errors import DataError
from ..plural import counted
from ..shapes import Float64, Int64


@dataclass(frozen=True, slots=True)
class BoxTable:
    """I images in the order of their ids, their M objects and D detections.

    `truth_image` and `detected_image` index `image_ids`. Boxes are xywh in pixels, as in COCO's files, because its IoU
    is computed from them. Labels index the data set's categories. `truth_crowd` is 0 or 1.
    """

    image_ids: Int64[np.ndarray, " I"]
    truth_image: Int64[np.ndarray, " M"]
    truth_label: Int64[np.ndarray, " M"]
    truth_crowd: Int64[np.ndarray, " M"]
    truth_area: Float64[np.ndarray, " M"]
    truth_box: Float64[np.ndarray, "M 4"]
    detected_image: Int64[np.ndarray, " D"]
    detected_label: Int64[np.ndarray, " D"]
    detected_score: Float64[np.ndarray, " D"]
    detected_box: Float64[np.ndarray, "D 4"]

    @classmethod
    def empty(cls) -> "BoxTable":
        """A table of no images."""
        integers, boxes, floats = np.empty(0, np.int64), np.empty((0, 4)), np.empty(0)
        return cls(integers, integers, integers, integers, floats, boxes, integers, integers, floats, boxes)

    @property
    def is_object(self) -> np.ndarray:
        """Which rows of the ground truth are objects to detect: all but the crowd regions."""
        return self.truth_crowd == 0

    def packed(self) -> Int64[np.ndarray, " F"]:
        """All columns in one array that a collective can gather. Floats go as their bits: every value stays exact."""
        counts = np.array([len(self.image_ids), len(self.truth_image), len(self.detected_image)])
        columns = [np.ravel(getattr(self, f.name)) for f in fields(self)]
        return np.concatenate([counts, *(column.view(np.int64) for column in columns)])

    @classmethod
    def unpacked(cls, packed: Int64[np.ndarray, " F"]) -> "BoxTable":
        """The table that `packed` was made from."""
        images, objects, detections = packed[:3].tolist()
        at, columns = 3, {}
        for name in (f.name for f in fields(cls)):
            rows = images if name == "image_ids" else objects if name.startswith("truth") else detections
            size = rows * 4 if name.endswith("box") else rows
            column = packed[at : at + size]
            if name.endswith(("area", "score", "box")):
                column = column.view(np.float64)
            columns[name] = column.reshape(-1, 4) if name.endswith("box") else column
            at += size
        return cls(**columns)

    @classmethod
    def merge(cls, parts: Sequence["BoxTable"]) -> "BoxTable":
        """One table from several, each image once: a sampler may repeat images to fill the last batch of a process.

        Images are sorted by id, so the result does not depend on which process evaluated which image.
        """
        starts = np.cumsum([0] + [len(part.image_ids) for part in parts])
        ids, first = np.unique(np.concatenate([part.image_ids for part in parts]), return_index=True)
        index = np.full(starts[-1], -1)  # of each part's images in the merged table; -1 for a repeated image
        index[first] = np.arange(len(ids))
        columns: dict[str, np.ndarray] = {"image_ids": ids}
        for side in ("truth", "detected"):
            image = np.concatenate(
                [index[start + getattr(part, f"{side}_image")] for start, part in zip(starts, parts)]
            )
            keep = np.flatnonzero(image >= 0)
            keep = keep[np.argsort(image[keep], kind="stable")]
            columns[f"{side}_image"] = image[keep]
            for name in (f.name for f in fields(cls)):
                if name.startswith(side) and not name.endswith("_image"):
                    columns[name] = np.concatenate([getattr(part, name) for part in parts])[keep]
        return cls(**columns)

    def select(self, images: Int64[np.ndarray, " P"]) -> "BoxTable":
        """The table of some images, by index. An image that is selected twice counts as two images."""
        images = np.sort(images)
        columns: dict[str, np.ndarray] = {"image_ids": np.arange(1, len(images) + 1)}
        for side in ("truth", "detected"):
            image = getattr(self, f"{side}_image")
            start, stop = np.searchsorted(image, images), np.searchsorted(image, images, side="right")
            rows = np.concatenate([np.arange(a, b) for a, b in zip(start, stop)] + [np.empty(0, np.int64)]).astype(int)
            for name in (f.name for f in fields(BoxTable)):
                if name.startswith(side):
                    columns[name] = getattr(self, name)[rows]
            columns[f"{side}_image"] = np.repeat(np.arange(len(images)), stop - start)
        return BoxTable(**columns)


def check_has_objects(table: BoxTable) -> None:
    """Raises DataError when there is no object to detect, so that no metric is defined."""
    if not table.is_object.any():
        raise DataError(
            f"{counted(len(table.image_ids), 'image')} and not one labelled object: nothing to evaluate against. "
            "Choose a split with labels"
        )
