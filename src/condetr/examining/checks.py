"""The checks of one split: boxes are converted to the upright images' frames, then kept, fixed or dropped."""

import numpy as np

from ..datasets.defects import Finding
from ..datasets.raw import RawSplit
from ..plural import counted
from ..shapes import Bool, Float, Int
from ..types import Categories, Truth
from .facts import OUTSIDE, ImageFacts
from .orientation import to_upright

TINY = 3.0  # pixels; a box with a shorter side may have been drawn by accident

# the file suffixes of a format, by Pillow's name of the format
_SUFFIXES = {
    ("JPEG", "MPO"): (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    ("PNG",): (".png", ".apng"),
    ("TIFF",): (".tif", ".tiff"),
    ("BMP", "DIB"): (".bmp", ".dib"),
    ("JPEG2000",): (".jp2", ".j2k"),
    ("PPM",): (".ppm", ".pgm", ".pbm", ".pnm"),
}
_KINDS_OF = {suffix: kinds for kinds, suffixes in _SUFFIXES.items() for suffix in suffixes}


def check_split(
    split: RawSplit, facts: list[ImageFacts], categories: Categories, queries: int | None, findings: list[Finding],
    clean_boxes: bool = True,
) -> list[Truth | None]:  # fmt: skip
    """The checked labels of each image, in the order of the split's images; None where the image cannot be used.

    `facts` has one entry for each image. Every defect is appended to `findings`. `queries` is the number of object
    queries of the model; None skips the check against it. Without `clean_boxes` the defects of boxes are reported, and
    the boxes stay as they are labelled.
    """
    order = np.argsort(split.objects.image, kind="stable")
    checks = _SplitChecks(split, facts, findings, order)
    sizes, usable = checks.check_images()
    labels = checks.check_categories(categories)
    boxes, areas, keep = checks.check_boxes(sizes, usable, labels)
    if not clean_boxes:
        boxes, areas, keep = checks.labelled_boxes(usable, labels)
    starts = checks.starts
    truths: list[Truth | None] = []
    for row in range(len(facts)):
        if not usable[row]:
            truths.append(None)
            continue
        chosen = np.flatnonzero(keep[starts[row] : starts[row + 1]]) + starts[row]
        size = facts[row].upright
        truth = Truth(
            int(split.images.ids[row]), size, boxes[chosen], labels[chosen], checks.crowd[chosen], areas[chosen]
        )
        truths.append(truth)
        num_objects = int((~truth.crowd).sum())
        if not len(truth):
            checks.report("no_objects", row, "")
        if queries is not None and num_objects > queries:
            checks.report("too_many_objects", row, f"{counted(num_objects, 'object')}, {counted(queries, 'query')}")
    return truths


class _SplitChecks:
    """A split's objects, sorted by image, and the list that findings are appended to."""

    def __init__(
        self, split: RawSplit, facts: list[ImageFacts], findings: list[Finding], order: Int[np.ndarray, " M"]
    ) -> None:
        raw = split.objects
        self.split, self.facts, self.findings = split, facts, findings
        self.image, self.category, self.crowd = raw.image[order], raw.category[order], raw.crowd[order]
        self.raw, self.areas, self.places = raw.boxes[order], raw.areas[order], raw.places[order]
        low, high = np.minimum(self.raw[:, :2], self.raw[:, 2:]), np.maximum(self.raw[:, :2], self.raw[:, 2:])
        self.upright = np.concatenate([low, high], axis=1)  # converted by check_images
        self.swapped = self.raw[:, 2:] < self.raw[:, :2]  # left and right, top and bottom
        self.starts = np.searchsorted(self.image, np.arange(len(facts) + 1))  # an image's first object, and the end

    def report(self, name: str, row: int, detail: str) -> None:
        """A finding of an image."""
        images = self.split.images
        self.findings.append(Finding(name, self.split.name, images.paths[row], images.keys[row], detail))

    def report_object(self, name: str, i: int, detail: str) -> None:
        """A finding of an object: in its label file, or in COCO's format, which has one file for all, at its image."""
        images, objects = self.split.images, self.split.objects
        row, place = int(self.image[i]), int(self.places[i])
        files = images.paths if objects.places_of == "annotation" else images.label_files
        id = place if place >= 0 else None
        self.findings.append(Finding(name, self.split.name, files[row], id, detail, objects.places_of))

    def report_boxes(self, name: str, mask: Bool[np.ndarray, " M"]) -> None:
        """One finding for each object of a mask."""
        for i in np.flatnonzero(mask):
            box = " ".join(f"{value:.6g}" for value in self.raw[i])
            self.report_object(name, int(i), f"box {box}")

    def check_images(self) -> tuple[Float[np.ndarray, "N 2"], Bool[np.ndarray, " N"]]:
        """Convert the boxes to the upright images; return the upright sizes, infinite where unknown, and which images
        can be used."""
        images, relative = self.split.images, self.split.objects.relative
        sizes = np.full((len(self.facts), 2), np.inf)
        usable = np.zeros(len(self.facts), dtype=bool)
        for row, facts in enumerate(self.facts):
            if facts.problem == OUTSIDE:
                self.report("outside_folder", row, str(images.paths[row]))
                continue
            if facts.problem:
                defect = "truncated_image" if facts.problem.startswith("cut short") else "unreadable_image"
                self.report("missing_image" if facts.problem == "missing" else defect, row, facts.problem)
                continue
            usable[row], sizes[row] = True, facts.upright
            suffix = images.paths[row].suffix.lower()
            if facts.kind not in _KINDS_OF.get(suffix, (suffix[1:].upper(),)):
                self.report("wrong_extension", row, f"contains {facts.kind}")
            objects = slice(self.starts[row], self.starts[row + 1])
            if relative:
                self.upright[objects] *= np.array(facts.upright * 2)
                continue
            declared = (int(images.declared[row, 0]), int(images.declared[row, 1]))
            if declared == facts.upright and facts.orientation == 1:
                continue
            converted = to_upright(self.upright[objects], declared, facts)
            self.upright[objects] = converted.boxes
            self.areas[objects] *= converted.area_scale
            if converted.defect:
                self.report(converted.defect, row, converted.detail)
            if converted.defect == "size_contradiction":  # then no box can be checked against the image's size
                usable[row], sizes[row] = False, np.inf
        return sizes, usable

    def check_categories(self, categories: Categories) -> Int[np.ndarray, " M"]:
        """The labels, -1 where the category is unknown."""
        known, inverse = np.unique(self.category, return_inverse=True)
        label_of = np.array([categories.label_of.get(int(id), -1) for id in known], dtype=np.int64)
        labels = label_of[inverse] if len(known) else np.zeros(0, dtype=np.int64)
        for i in np.flatnonzero(labels < 0):
            self.report_object("unknown_category", int(i), f"category {self.category[i]}")
        return labels

    def check_boxes(
        self, sizes: Float[np.ndarray, "N 2"], usable: Bool[np.ndarray, " N"], labels: Int[np.ndarray, " M"]
    ) -> tuple[Float[np.ndarray, "M 4"], Float[np.ndarray, " M"], Bool[np.ndarray, " M"]]:
        """The boxes clipped to their images, their areas, and which of them are kept."""
        boxes = self.upright
        finite = np.isfinite(boxes).all(axis=1) & np.isfinite(self.raw).all(axis=1)
        boxes = np.where(finite[:, None], boxes, 0.0)
        empty = finite & ((boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1]))
        bounds = sizes[self.image] if len(boxes) else np.zeros((0, 2))
        excess = np.maximum(-boxes[:, :2], boxes[:, 2:] - bounds).max(axis=1, initial=0)
        clipped = np.concatenate([boxes[:, :2].clip(0, bounds), boxes[:, 2:].clip(0, bounds)], axis=1)
        sides = clipped[:, 2:] - clipped[:, :2]
        sound = finite & ~empty
        outside = sound & (sides <= 0).any(axis=1)
        sound &= ~outside
        keep = sound & (labels >= 0) & (usable[self.image] if len(boxes) else True)
        repeated = self._repeated(clipped, labels, keep)
        self.report_boxes("not_finite_box", ~finite)
        self.report_boxes("empty_box", empty)
        self.report_boxes("outside_box", outside)
        self.report_boxes("swapped_corners", sound & self.swapped.any(axis=1))
        self.report_boxes("clipped_box", sound & (excess > 1))
        self.report_boxes("rounded_box", sound & (excess > 1e-3) & (excess <= 1))
        self.report_boxes("duplicate_box", repeated)
        keep &= ~repeated
        self.report_boxes("tiny_box", keep & ~self.crowd & (sides.min(axis=1, initial=np.inf) < TINY))
        self.report_boxes("crowd_box", keep & self.crowd)
        given = np.isfinite(self.areas) & (self.areas > 0)
        return clipped, np.where(given, self.areas, sides.prod(axis=1)), keep

    def labelled_boxes(
        self, usable: Bool[np.ndarray, " N"], labels: Int[np.ndarray, " M"]
    ) -> tuple[Float[np.ndarray, "M 4"], Float[np.ndarray, " M"], Bool[np.ndarray, " M"]]:
        """The boxes as labelled, their areas (computed only where the labels give none), and which have four finite
        numbers and a known class."""
        finite = np.isfinite(self.upright).all(axis=1) & np.isfinite(self.raw).all(axis=1)
        first, last = self.upright[:, :2], self.upright[:, 2:]
        boxes = np.concatenate([np.where(self.swapped, last, first), np.where(self.swapped, first, last)], axis=1)
        boxes = np.where(finite[:, None], boxes, 0.0)
        areas = np.where(np.isfinite(self.areas), self.areas, (boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
        return boxes, areas, finite & (labels >= 0) & (usable[self.image] if len(boxes) else True)

    def _repeated(
        self, boxes: Float[np.ndarray, "M 4"], labels: Int[np.ndarray, " M"], keep: Bool[np.ndarray, " M"]
    ) -> Bool[np.ndarray, " M"]:
        """Objects with the image, class and box of an earlier one."""
        repeated = np.zeros(len(boxes), dtype=bool)
        candidates = np.flatnonzero(keep & ~self.crowd)
        keys = np.column_stack([self.image[candidates], labels[candidates], boxes[candidates]])
        rank = np.lexsort(keys.T[::-1])  # stable: among equal objects the first in the file comes first
        same = (keys[rank][1:] == keys[rank][:-1]).all(axis=1)
        repeated[candidates[rank[1:][same]]] = True
        return repeated
