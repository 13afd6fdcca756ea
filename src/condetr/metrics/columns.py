"""What has been seen so far, as plain columns: small, order-free, and easy to send between processes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..errors import DataError
from ..shapes import Float64, Int64


@dataclass(frozen=True, slots=True)
class Columns:
    """I images in the order of their ids, their M objects and D detections.

    `truth_image` and `found_image` index `image_ids`. Boxes are xywh in pixels, COCO's form, because its IoU is defined
    on it. Labels index the data set's categories. `truth_crowd` is 0 or 1.
    """

    image_ids: Int64[np.ndarray, " I"]
    truth_image: Int64[np.ndarray, " M"]
    truth_label: Int64[np.ndarray, " M"]
    truth_crowd: Int64[np.ndarray, " M"]
    truth_area: Float64[np.ndarray, " M"]
    truth_box: Float64[np.ndarray, "M 4"]
    found_image: Int64[np.ndarray, " D"]
    found_label: Int64[np.ndarray, " D"]
    found_score: Float64[np.ndarray, " D"]
    found_box: Float64[np.ndarray, "D 4"]

    @property
    def plain(self) -> np.ndarray:
        """Which objects count: those that are no crowd region."""
        return self.truth_crowd == 0

    def packed(self) -> Int64[np.ndarray, " F"]:
        """All columns in one array that a collective can gather. Floats go as their bits: every value stays exact."""
        counts = np.array([len(self.image_ids), len(self.truth_image), len(self.found_image)])
        columns = [np.ravel(getattr(self, f.name)) for f in fields(self)]
        return np.concatenate([counts, *(column.view(np.int64) for column in columns)])

    @classmethod
    def unpacked(cls, packed: Int64[np.ndarray, " F"]) -> "Columns":
        """The columns that `packed` was made from."""
        images, objects, found = packed[:3].tolist()
        at, columns = 3, {}
        for name in (f.name for f in fields(cls)):
            rows = images if name == "image_ids" else objects if name.startswith("truth") else found
            size = rows * 4 if name.endswith("box") else rows
            column = packed[at : at + size]
            if name.endswith(("area", "score", "box")):
                column = column.view(np.float64)
            columns[name] = column.reshape(-1, 4) if name.endswith("box") else column
            at += size
        return cls(**columns)

    @classmethod
    def merge(cls, parts: Sequence["Columns"]) -> "Columns":
        """One table from several, each image once: a sampler that repeats images to fill up the last batch of a
        process does no harm. Sorted by image id, so the answer does not depend on who saw what."""
        starts = np.cumsum([0] + [len(part.image_ids) for part in parts])
        every = np.concatenate([part.image_ids for part in parts])
        ids, first = np.unique(every, return_index=True)
        place = np.full(len(every), -1)
        place[first] = np.arange(len(ids))
        truth, found = (
            np.concatenate([place[start + getattr(part, side)] for start, part in zip(starts, parts)])
            for side in ("truth_image", "found_image")
        )
        columns: dict[str, np.ndarray] = {"image_ids": ids}
        for side, image in (("truth", truth), ("found", found)):
            keep = np.flatnonzero(image >= 0)
            keep = keep[np.argsort(image[keep], kind="stable")]
            columns[f"{side}_image"] = image[keep]
            for name in (f.name for f in fields(cls)):
                if name.startswith(side) and not name.endswith("_image"):
                    columns[name] = np.concatenate([getattr(part, name) for part in parts])[keep]
        return cls(**columns)

    def pick(self, images: Int64[np.ndarray, " P"]) -> "Columns":
        """The table of some images, by index; one that is picked twice counts as two images, side by side."""
        images = np.sort(images)
        columns: dict[str, np.ndarray] = {"image_ids": np.arange(1, len(images) + 1)}
        for side in ("truth", "found"):
            image = getattr(self, f"{side}_image")
            start, stop = np.searchsorted(image, images), np.searchsorted(image, images, side="right")
            rows = np.concatenate([np.arange(a, b) for a, b in zip(start, stop)] + [np.empty(0, np.int64)]).astype(int)
            for name in (f.name for f in fields(Columns)):
                if name.startswith(side):
                    columns[name] = getattr(self, name)[rows]
            columns[f"{side}_image"] = np.repeat(np.arange(len(images)), stop - start)
        return Columns(**columns)


def check(columns: Columns) -> None:
    """Raises DataError when there is nothing to compare with."""
    if not columns.plain.any():
        raise DataError(
            f"{len(columns.image_ids)} images and not one labelled object: nothing to evaluate against. "
            "Choose a split with labels"
        )
