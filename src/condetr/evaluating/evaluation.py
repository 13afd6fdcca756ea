"""The result of an evaluation: its numbers, its curves, and the files it is written to."""

import json
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arguments import instance_of, path_of
from ..errors import CondetrError
from ..files import write_together
from ..metrics.coco import IOU_THRESHOLDS, RECALLS
from ..metrics.coco_results import coco_results
from ..plural import counted
from ..shapes import Float64
from .results import Results


class PrecisionRecall(NamedTuple):
    """A precision–recall curve: the precision (NaN without objects) at recall 0, 0.01 … 1. R = 101.

    `plt.plot(*curve)` draws it.
    """

    recall: Float64[np.ndarray, " R"]
    precision: Float64[np.ndarray, " R"]


@dataclass(frozen=True, slots=True)
class Evaluation(Results):
    """How good a detector is on a split.

    `source` is what was evaluated (a folder, a hub id, a file), `name` a short name for it, `model` its kind and
    recipe. `table` has every detection and the ground truth, `metrics` all metrics; the properties below are the ones
    that are used most. The twelve numbers are COCO's, and -1 where no object counts. `stored_thresholds` are the
    confidence thresholds that the weights carry, by label of the data set, or None.
    """

    def __repr__(self) -> str:
        images = counted(self.metrics.images, "image")
        return f"<Evaluation of {self.source} on {self.data.name}, {self.split.name}: {images}, AP {self.ap:.3f}>"

    def precision_recall(self, class_name: str | None = None, iou: float = 0.5) -> PrecisionRecall:
        """The precision–recall curve of a class, or without a name the mean over the classes that have objects.

        `iou` is one of 0.5, 0.55 … 0.95. Raises CondetrError for another one, and for a class that the data set does
        not have.
        """
        instance_of(class_name, "class_name", str | None, "the name of a class")
        instance_of(iou, "iou", int | float | np.number, "a number")
        at = np.flatnonzero(np.isclose(IOU_THRESHOLDS, iou))
        if len(at) != 1:
            raise CondetrError(f"precision_recall: iou {iou} is not evaluated. Choose one of 0.5, 0.55, …, 0.95")
        if class_name is None:
            curves = [one.precision[at[0]] for one in self.classes if one.objects]
            return PrecisionRecall(RECALLS.copy(), np.mean(curves, axis=0))
        found = next((one for one in self.classes if one.name == class_name), None)
        if found is None:
            names = [one.name for one in self.classes]
            near = get_close_matches(class_name, names, 1)
            hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(names[:20])}"
            raise CondetrError(f"precision_recall: the data set has no class '{class_name}'. {hint}")
        return PrecisionRecall(RECALLS.copy(), found.precision[at[0]].copy())

    def to_dict(self) -> dict[str, Any]:
        """Everything but the detections as plain JSON values. Undefined numbers are None; the twelve keep COCO's -1."""
        return {
            "evaluated": self.source,
            "name": self.name,
            "model": self.model,
            "data": str(self.data.root),
            "split": self.split.name,
            "warnings": list(self.warnings),
            "stored_thresholds": self.stored_thresholds,
            "provenance": asdict(self.provenance),
            **self.metrics.to_dict(),
        }

    def write(self, folder: Path | str) -> Path:
        """Write `report.html`, `metrics.json` (`to_dict`) and `detections.json` (COCO results), all of them or none;
        returns the path of the report."""
        from .page import page  # loads matplotlib, which the numbers do not need

        folder = path_of(folder, "folder")
        keys = {sample.truth.image_id: sample.key for sample in self.split}
        write_together({
            folder / "report.html": page(self).html(),
            folder / "metrics.json": json.dumps(self.to_dict(), indent=1) + "\n",
            folder / "detections.json": json.dumps(coco_results(self.table, self.data.categories, keys)),
        })  # fmt: skip
        return folder / "report.html"
