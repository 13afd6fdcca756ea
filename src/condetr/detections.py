"""The detections of one image, and what can be done with them: select, write, draw, crop."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from . import box_arrays
from .arguments import instance_of, whole_number, with_article, wrong
from .class_names import labels_of_names
from .errors import CondetrError, ImageError
from .images.decode import Pixels, Source, open_image
from .plural import counted
from .reports.drawing import draw_boxes, enlarge
from .shapes import Float, Int
from .types import Categories

TAKEN = (
    "an image is a path, the bytes of an image file, an open binary file, a PIL image or a uint8 array "
    "(height, width, 3)"
)
SHOWN_ROWS = 20  # of the table in a notebook


@dataclass(frozen=True, slots=True)
class Detection:
    """One detected object: `box` is x1, y1, x2, y2 in pixels of the upright image, `score` is in [0, 1].

    `label` is the index of the class in the weights' `Categories`, `category_id` the data set's number of it.
    """

    box: tuple[float, float, float, float]
    score: float
    label: int
    name: str
    category_id: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Detections:
    """The detected objects of one image, best score first. Iterating yields one `Detection` each.

    `boxes` are x1, y1, x2, y2 in pixels of the upright image (EXIF orientation applied), `scores` are in [0, 1],
    `labels` index `categories`, `queries` are the object queries that predicted them (one query can predict several
    classes), `size` is the image's (width, height). `file` is the path or address of the image, None where pixels or
    bytes were given.

    An index gives a `Detection`; a slice, a list of indices or a boolean mask gives `Detections`. Two are equal if they
    hold the same detections of images of the same size, wherever the images were read from.
    """

    boxes: Float[np.ndarray, "M 4"]
    scores: Float[np.ndarray, " M"]
    labels: Int[np.ndarray, " M"]
    queries: Int[np.ndarray, " M"]
    categories: Categories
    size: tuple[int, int]
    file: str | None = None

    def __post_init__(self) -> None:
        """Raises CondetrError for arrays that do not belong together."""
        instance_of(self.categories, "categories", Categories, "Categories")
        columns = {"boxes": self.boxes, "scores": self.scores, "labels": self.labels, "queries": self.queries}
        for name, column in columns.items():
            shape = (len(self.scores), 4) if name == "boxes" else (len(self.scores),)
            if not isinstance(column, np.ndarray) or column.shape != shape:
                got = f"an array of shape {column.shape}" if isinstance(column, np.ndarray) else with_article(column)
                raise CondetrError(f"{name}: expected an array of shape {shape}, as there are scores, got {got}")
        if self.labels.dtype.kind not in "iu":
            raise CondetrError(f"labels: expected whole numbers, got {self.labels.dtype}")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.categories):
            worst = max(self.labels.tolist(), key=lambda label: abs(2 * label + 1 - len(self.categories)))
            raise CondetrError(f"labels: {worst}, but labels are 0 to {len(self.categories) - 1}")

    @property
    def names(self) -> list[str]:
        return [self.categories.name(label) for label in self.labels.tolist()]

    @property
    def category_ids(self) -> list[int]:
        return [self.categories.ids[label] for label in self.labels.tolist()]

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        values = (self.boxes.astype(float), self.scores.astype(float), self.labels)
        for (x1, y1, x2, y2), score, label in zip(*(column.tolist() for column in values)):
            yield Detection((x1, y1, x2, y2), score, label, self.categories.name(label), self.categories.ids[label])

    @overload
    def __getitem__(self, which: int | np.integer) -> Detection: ...
    @overload
    def __getitem__(self, which: slice | Sequence[int] | np.ndarray) -> "Detections": ...
    def __getitem__(self, which: int | np.integer | slice | Sequence[int] | np.ndarray) -> "Detection | Detections":
        if isinstance(which, int | np.integer) and not isinstance(which, bool):
            if not -len(self) <= which < len(self):
                raise IndexError(f"index {which} is out of range for {counted(len(self), 'detection')}")
            label = int(self.labels[which])
            x1, y1, x2, y2 = self.boxes[which].astype(float).tolist()
            score, name, id = float(self.scores[which]), self.categories.name(label), self.categories.ids[label]
            return Detection((x1, y1, x2, y2), score, label, name, id)
        keep = which if isinstance(which, slice) else _index(which)
        return replace(
            self,
            boxes=self.boxes[keep],
            scores=self.scores[keep],
            labels=self.labels[keep],
            queries=self.queries[keep],
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detections):
            return NotImplemented
        return (self.size, self.categories) == (other.size, other.categories) and all(
            np.array_equal(ours, theirs)
            for ours, theirs in (
                (self.boxes, other.boxes),
                (self.scores, other.scores),
                (self.labels, other.labels),
                (self.queries, other.queries),
            )
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can change

    def __repr__(self) -> str:
        named = ", ".join(f"{one.name} {one.score:.2f}" for one in islice(self, 5)) + ", …" * (len(self) > 5)
        image = f"{self.file or 'an image'} ({self.size[0]} x {self.size[1]})"
        return f"<{counted(len(self), 'detection')} in {image}{': ' * bool(named)}{named}>"

    def filter(
        self,
        classes: str | Iterable[str] | None = None,
        min_score: float | Sequence[float] | None = None,
    ) -> "Detections":
        """Only the detections of some classes, by name, and of at least a score: one number, or one for each label.

        Raises CondetrError for a name that is no class of the weights, or another number of scores.
        """
        keep = np.ones(len(self), dtype=bool)
        if classes is not None:
            keep &= np.isin(self.labels, labels_of_names(classes, self.categories))
        if min_score is not None:
            least = self._scores(min_score)
            keep &= self.scores >= (least[self.labels] if least.ndim else least)
        return self[keep]

    def _scores(self, least: Any) -> np.ndarray:
        """One score, or one for each label, as an array."""
        try:
            scores = np.asarray(least, dtype=np.float32)
        except (TypeError, ValueError):
            scores = np.empty((0, 0), np.float32)
        none = isinstance(least, bool) or bool(np.isnan(scores).any())
        if none or scores.shape not in ((), (len(self.categories),)):
            raise wrong(least, "min_score", f"a number, or one for each of the {len(self.categories)} labels")
        return scores

    def best_of_each_query(self) -> "Detections":
        """At most one detection for each object query, its best: no box appears twice with two classes."""
        return self[np.sort(np.unique(self.queries, return_index=True)[1])]

    def suppress(self, iou: float) -> "Detections":
        """Non-maximum suppression: from the first to the last, each detection removes those of its class with which it
        has a higher `iou`. At 1, none are removed. Raises CondetrError for an `iou` outside 0 to 1."""
        if isinstance(iou, bool) or not (isinstance(iou, float | int | np.number) and 0 <= iou <= 1):
            raise wrong(iou, "iou", "a number from 0 to 1")
        kept = np.ones(len(self), dtype=bool)
        boxes = self.boxes.astype(np.float64)
        for label in np.unique(self.labels):
            same_class = np.flatnonzero(self.labels == label)
            for one, others in zip(same_class.tolist(), box_arrays.near(boxes[same_class], float(iou))):
                worse = same_class[others]
                worse = worse[(worse > one) & kept[worse]]
                if kept[one] and len(worse):
                    kept[worse[box_arrays.iou(boxes[None, one], boxes[worse]) > iou]] = False
        return self[kept]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold, with the keys of `predictions.jsonl`: file, width, height and detections,
        each with category_id, category, score and box (x1, y1, x2, y2 in pixels)."""
        return {
            "file": self.file,
            "width": self.size[0],
            "height": self.size[1],
            "detections": [
                {"category_id": one.category_id, "category": one.name, "score": one.score, "box": list(one.box)}
                for one in self
            ],
        }

    def to_dataframe(self) -> Any:
        """A pandas DataFrame, one row for each detection, with the columns of `predictions.csv` up to the box:
        file, width, height, category_id, category, score, x1, y1, x2, y2. Raises CondetrError where pandas is not
        installed."""
        try:
            import pandas
        except ImportError:
            raise CondetrError("to_dataframe needs pandas: pip install pandas") from None
        x1, y1, x2, y2 = self.boxes.astype(float).reshape(-1, 4).T
        frame = pandas.DataFrame(
            {
                "category_id": np.array(self.category_ids, dtype=np.int64),
                "category": np.array(self.names, dtype=object),
                "score": self.scores.astype(float),
                "x1": x1, "y1": y1, "x2": x2, "y2": y2,
            }
        )  # fmt: skip
        for at, (name, value) in enumerate((("file", self.file), ("width", self.size[0]), ("height", self.size[1]))):
            frame.insert(at, name, value)
        return frame

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """COCO results: category_id is the data set's own number, bbox is x, y, width, height in pixels."""
        image_id = whole_number(image_id, "image_id")
        return [
            {
                "image_id": image_id,
                "category_id": one.category_id,
                "bbox": [one.box[0], one.box[1], one.box[2] - one.box[0], one.box[3] - one.box[1]],
                "score": one.score,
            }
            for one in self
        ]

    def to_supervision(self) -> Any:
        """As `supervision.Detections`; class_id is the label, data["class_name"] its name. Raises CondetrError where
        supervision is not installed."""
        try:
            import supervision
        except ImportError:
            raise CondetrError("to_supervision needs supervision: pip install 'condetr[supervision]'") from None
        return supervision.Detections(
            xyxy=self.boxes.astype(np.float32).reshape(-1, 4),
            confidence=self.scores.astype(np.float32),
            class_id=self.labels.astype(int),
            data={"class_name": np.array(self.names, dtype=str)},
        )

    def draw(self, image: Source) -> Image.Image:
        """The image with boxes, names and scores, as a PIL image, which a notebook displays. See `draw`."""
        return Image.fromarray(draw(image, self))

    def crop(self, image: Source) -> list[Pixels]:
        """The part of the image inside each box, rounded to whole pixels, at least one: uint8 RGB (height, width, 3).

        Raises CondetrError for an image of another size, ImageError for one that cannot be read.
        """
        pixels = _pixels(image, self)
        width, height = self.size
        crops = []
        for x1, y1, x2, y2 in self.boxes.astype(float).tolist():
            left, top = min(max(round(x1), 0), width - 1), min(max(round(y1), 0), height - 1)
            right, bottom = max(min(round(x2), width), left + 1), max(min(round(y2), height), top + 1)
            crops.append(pixels[top:bottom, left:right].copy())
        return crops

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        rows = "".join(
            f"<tr><td>{escape(one.name)}</td><td>{one.score:.3f}</td>"
            + "".join(f"<td>{side:.0f}</td>" for side in one.box)
            + "</tr>"
            for one in islice(self, SHOWN_ROWS)
        )
        more = f"<p>and {len(self) - SHOWN_ROWS} more</p>" if len(self) > SHOWN_ROWS else ""
        head = "".join(f"<th>{name}</th>" for name in ("class", "score", "x1", "y1", "x2", "y2"))
        title = f"{counted(len(self), 'detection')} in {self.file or 'an image'} ({self.size[0]} x {self.size[1]})"
        return f"<p>{escape(title)}</p><table><tr>{head}</tr>{rows}</table>{more}"


def draw(image: Source, detections: Detections) -> Pixels:
    """A copy of the image with the box, name and score of every detection, the best on top: uint8 (height, width, 3).

    An image whose longer side is shorter than 400 pixels is enlarged by a whole factor, so that names can be read.
    Raises CondetrError for an image of another size, ImageError for one that cannot be read.
    """
    instance_of(detections, "detections", Detections, "Detections")
    pixels, factor = enlarge(_pixels(image, detections))
    captions = [f"{one.name} {one.score:.2f}" for one in detections]
    return draw_boxes(pixels, detections.boxes * factor, captions, detections.labels)


def _index(which: Any) -> np.ndarray:
    """The indices or the mask as an array. Raises TypeError for anything else."""
    if isinstance(which, Sized) and not isinstance(which, str) and getattr(which, "ndim", 1) == 1:
        index = np.asarray(which, dtype=None if len(which) else np.int64)
        if index.dtype == bool or np.issubdtype(index.dtype, np.integer):
            return index
    raise TypeError(
        "detections are indexed by a whole number, a slice, a list of whole numbers or a boolean mask, "
        f"not {with_article(which)}"
    )


def _pixels(image: Source, detections: Detections) -> Pixels:
    if not isinstance(image, Source):
        raise CondetrError(f"{with_article(image)} is not an image: {TAKEN}")
    try:
        pixels = open_image(image)
    except ImageError as error:
        if isinstance(image, str | Path):
            raise ImageError(f"{image}: {error}") from None
        raise
    size = (pixels.shape[1], pixels.shape[0])
    if size != detections.size:
        found, expected = (f"{w} x {h}" for w, h in (size, detections.size))
        raise CondetrError(f"the image is {found} pixels, but these are detections of an image of {expected}")
    return pixels
