"""One split judged: every box brought into the upright image, and kept, mended or dropped; whole arrays at a time."""

from dataclasses import dataclass

import numpy as np

from ..datasets.defects import Finding
from ..datasets.raw import RawSplit
from ..shapes import Bool, Float, Int
from ..types import Categories, Truth
from .inspection import Facts
from .orientation import into_upright

TINY = 3.0  # pixels; the shortest side that is not reported as a slip of the mouse

# Pillow's name of what a file of this suffix should hold
_KINDS = {
    ("JPEG", "MPO"): (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    ("PNG",): (".png", ".apng"),
    ("TIFF",): (".tif", ".tiff"),
    ("BMP", "DIB"): (".bmp", ".dib"),
    ("JPEG2000",): (".jp2", ".j2k"),
    ("PPM",): (".ppm", ".pgm", ".pbm", ".pnm"),
}
_KIND_OF = {suffix: kinds for kinds, suffixes in _KINDS.items() for suffix in suffixes}


@dataclass(frozen=True, slots=True)
class Judged:
    """The truth of each image in the labels' order; None where the image is left out."""

    truths: tuple[Truth | None, ...]


def judge(
    split: RawSplit, facts: list[Facts], categories: Categories, queries: int | None, findings: list[Finding]
) -> Judged:
    """Append what is wrong with a split to `findings`; what is left is sound."""
    order = np.argsort(split.objects.image, kind="stable")
    case = _Case(split, facts, findings, order)
    sizes, usable = case.images()
    labels = case.labels(categories)
    boxes, areas, keep = case.boxes(sizes, usable, labels)
    starts = np.searchsorted(case.image, np.arange(len(facts) + 1))
    truths: list[Truth | None] = []
    for row in range(len(facts)):
        if not usable[row]:
            truths.append(None)
            continue
        chosen = np.flatnonzero(keep[starts[row] : starts[row + 1]]) + starts[row]
        size = facts[row].upright
        truth = Truth(
            int(split.images.ids[row]), size, boxes[chosen], labels[chosen], case.crowd[chosen], areas[chosen]
        )
        truths.append(truth)
        asked = int((~truth.crowd).sum())
        if not len(truth):
            case.find("no_objects", row, truth.image_id, "")
        if queries is not None and asked > queries:
            case.find("too_many_objects", row, truth.image_id, f"{asked} objects, {queries} queries")
    return Judged(tuple(truths))


class _Case:
    """A split's objects in the order of their images, and the list that findings go to."""

    def __init__(self, split: RawSplit, facts: list[Facts], findings: list[Finding], order: np.ndarray) -> None:
        raw = split.objects
        self.split, self.facts, self.findings = split, facts, findings
        self.image, self.category = raw.image[order], raw.category[order]
        self.raw, self.crowd, self.areas, self.places = (
            raw.boxes[order], raw.crowd[order], raw.areas[order], raw.places[order],
        )  # fmt: skip

    def find(self, name: str, row: int, id: int | None, detail: str) -> None:
        self.findings.append(Finding(name, self.split.name, self.split.images.paths[row].name, id, detail))

    def each(self, name: str, where: Bool[np.ndarray, " M"]) -> None:
        """A finding for every object of a mask."""
        for i in np.flatnonzero(where):
            place = int(self.places[i])
            box = " ".join(f"{value:.6g}" for value in self.raw[i])
            self.find(name, int(self.image[i]), place if place >= 0 else None, f"box {box}")

    def images(self) -> tuple[Float[np.ndarray, "N 2"], Bool[np.ndarray, " N"]]:
        """Upright sizes, infinite where unknown, and which images can be used; boxes come into their frame."""
        images, relative = self.split.images, self.split.objects.relative
        sizes = np.full((len(self.facts), 2), np.inf)
        usable = np.zeros(len(self.facts), dtype=bool)
        starts = np.searchsorted(self.image, np.arange(len(self.facts) + 1))
        self.placed = self.raw.copy()
        for row, facts in enumerate(self.facts):
            id = int(images.ids[row])
            if facts.problem:
                kind = "truncated_image" if facts.problem.startswith("cut short") else "unreadable_image"
                kind = "missing_image" if facts.problem == "missing" else kind
                self.find(kind, row, id, facts.problem)
                continue
            usable[row], sizes[row] = True, facts.upright
            suffix = images.paths[row].suffix.lower()
            if facts.kind not in _KIND_OF.get(suffix, (suffix[1:].upper(),)):
                self.find("wrong_extension", row, id, f"holds {facts.kind}")
            mine = slice(starts[row], starts[row + 1])
            if relative:
                self.placed[mine] *= np.array(facts.upright * 2)
                continue
            declared = (int(images.declared[row, 0]), int(images.declared[row, 1]))
            if declared == facts.upright and facts.orientation == 1:
                continue
            framed = into_upright(self.raw[mine], declared, facts)
            self.placed[mine] = framed.boxes
            self.areas[mine] *= framed.area
            if framed.finding:
                self.find(framed.finding, row, id, framed.detail)
            if framed.finding == "size_contradiction":  # nobody knows what lies outside either
                usable[row], sizes[row] = False, np.inf
        return sizes, usable

    def labels(self, categories: Categories) -> Int[np.ndarray, " M"]:
        """Labels, -1 where the category is unknown."""
        known, inverse = np.unique(self.category, return_inverse=True)
        label_of = np.array([categories.label_of.get(int(id), -1) for id in known], dtype=np.int64)
        labels = label_of[inverse] if len(known) else np.zeros(0, dtype=np.int64)
        for i in np.flatnonzero(labels < 0):
            place = int(self.places[i])
            detail = f"category {self.category[i]}"
            self.find("unknown_category", int(self.image[i]), place if place >= 0 else None, detail)
        return labels

    def boxes(
        self, sizes: Float[np.ndarray, "N 2"], usable: Bool[np.ndarray, " N"], labels: Int[np.ndarray, " M"]
    ) -> tuple[Float[np.ndarray, "M 4"], Float[np.ndarray, " M"], Bool[np.ndarray, " M"]]:
        """Boxes clipped to their images, their areas, and which of them stay."""
        boxes = self.placed
        finite = np.isfinite(boxes).all(axis=1) & np.isfinite(self.raw).all(axis=1)
        boxes = np.where(finite[:, None], boxes, 0.0)
        empty = finite & ((boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1]))
        bounds = sizes[self.image] if len(boxes) else np.zeros((0, 2))
        over = np.maximum(-boxes[:, :2], boxes[:, 2:] - bounds).max(axis=1, initial=0)
        clipped = np.concatenate([boxes[:, :2].clip(0, bounds), boxes[:, 2:].clip(0, bounds)], axis=1)
        sides = clipped[:, 2:] - clipped[:, :2]
        sound = finite & ~empty
        outside = sound & (sides <= 0).any(axis=1)
        sound &= ~outside
        keep = sound & (labels >= 0) & (usable[self.image] if len(boxes) else True)
        twice = self._twice(clipped, labels, keep)
        self.each("not_finite_box", ~finite)
        self.each("empty_box", empty)
        self.each("outside_box", outside)
        self.each("clipped_box", sound & (over > 1))
        self.each("rounded_box", sound & (over > 1e-3) & (over <= 1))
        self.each("duplicate_box", twice)
        keep &= ~twice
        self.each("tiny_box", keep & ~self.crowd & (sides.min(axis=1, initial=np.inf) < TINY))
        self.each("crowd_box", keep & self.crowd)
        own = np.isfinite(self.areas) & (self.areas > 0)
        return clipped, np.where(own, self.areas, sides.prod(axis=1)), keep

    def _twice(
        self, boxes: Float[np.ndarray, "M 4"], labels: Int[np.ndarray, " M"], keep: Bool[np.ndarray, " M"]
    ) -> Bool[np.ndarray, " M"]:
        """Those that repeat an earlier object of the same image, class and box."""
        twice = np.zeros(len(boxes), dtype=bool)
        among = np.flatnonzero(keep & ~self.crowd)
        keys = np.column_stack([self.image[among], labels[among], boxes[among]])
        rank = np.lexsort(keys.T[::-1])  # stable: of equal ones the first in the file comes first
        same = (keys[rank][1:] == keys[rank][:-1]).all(axis=1)
        twice[among[rank[1:][same]]] = True
        return twice
