"""The result of examining a data set: what was found, the clean data set, and the files that describe it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..arguments import path_of
from ..datasets.dataset import DataSet
from ..datasets.defects import DEFECTS, grouped
from ..errors import DataError
from ..files import quoted, write_together
from ..plural import counted
from .results import Results


@dataclass(frozen=True, slots=True)
class Diagnosis(Results):
    """`findings` are all defects, `dataset` is the data after the action of every finding, `raw` the data as read."""

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.dataset.root}: {counted(len(self.findings), 'finding')}; {self.summary}>"

    def trainable(self) -> DataSet:
        """The clean data set. Raises DataError when training cannot start."""
        if self.refusal is not None:
            root = self.dataset.root
            raise DataError(f"{root}: {self.refusal}. `condetr doctor {quoted(root)}` lists every defect")
        return self.dataset

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values. Keys are stable between releases; new ones may be added."""
        data = self.dataset
        histogram, sizes = self.class_histogram(), self.size_histogram()
        return {
            "root": str(data.root),
            "format": data.format,
            "trainable": self.refusal is None,
            "refusal": self.refusal,
            "splits": [
                {
                    "name": count.split,
                    "images": count.images,
                    "used_images": count.used_images,
                    "images_without_objects": count.without_objects,
                    "objects": count.objects,
                    "used_objects": count.used_objects,
                    "crowds": count.crowds,
                    "sizes": dict(zip(("small", "medium", "large"), sizes.get(count.split, (0, 0, 0)))),
                }
                for count in self.counts
            ],
            "classes": [
                {
                    "label": label,
                    "category_id": data.categories.ids[label],
                    "name": data.categories.name(label),
                    "objects": {split: int(counts[label]) for split, counts in histogram.items()},
                }
                for label in data.categories.real
            ],
            "defects": [
                {
                    "name": name,
                    "severity": DEFECTS[name].severity,
                    "action": DEFECTS[name].action,
                    "meaning": DEFECTS[name].meaning,
                    "remedy": DEFECTS[name].remedy,
                    "count": len(found),
                    "found": [
                        {
                            "split": f.split,
                            "file": str(f.file) if f.file is not None else "",
                            "id": f.id,
                            "id_of": f.id_of if f.id is not None else None,
                            "detail": f.detail,
                        }
                        for f in found
                    ],
                }
                for name, found in grouped(self.findings)
            ],
        }

    def write(self, folder: Path | str) -> Path:
        """Write `doctor.html` and `doctor.json` into `folder` and return the page's path.

        Raises CondetrError when they cannot be written.
        """
        from .page import page  # matplotlib takes a second to import

        folder = path_of(folder, "folder")
        record = json.dumps(self.to_dict(), indent=1, ensure_ascii=True) + "\n"
        write_together({folder / "doctor.html": page(self).html(), folder / "doctor.json": record})
        return folder / "doctor.html"
