"""The metadata of an exported file: written by the export, and read when the file is run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ..config import Config, parse
from ..errors import CondetrError, WeightsError
from ..images.prepare import MEAN, STD, Prepare
from ..types import Categories

FORMAT = 1  # raised when a file needs a newer reader
PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """`version` is that of condetr, `weights` a hash of the weights, `ragged` whether the images of a batch may have
    different sizes, `thresholds` the confidence threshold of each label, `quantised` the parts of the model in int8."""

    version: str
    weights: str
    config: Config
    categories: Categories
    thresholds: tuple[float, ...] | None
    precision: str
    limit: int
    ragged: bool
    quantised: tuple[str, ...] = ()

    def metadata(self) -> dict[str, str]:
        """Texts by key. All but `config` is meant for programs that know nothing of this package."""
        prepare = Prepare.of(self.config.data)
        sizes = "may have different sizes" if self.ragged else "must have one size, without padding"
        values = {
            "condetr": self.version,
            "format": FORMAT,
            "weights": self.weights,
            "names": self.categories.names,
            "category_ids": self.categories.ids,
            "thresholds": self.thresholds,
            "short_side": prepare.size,
            "longest_side": prepare.longest,
            "resize": "bilinear with antialiasing: short side to short_side, long side to longest_side at most",
            "images": f"uint8, batch x height x width x 3, RGB; the images of a batch {sizes}; each is in "
            "the top left corner",
            "sizes": "int64, batch x 2: width and height in pixels of each image, without padding",
            "boxes": "batch x detections x 4: x1, y1, x2, y2 as fractions of each image's width and height",
            "scores": "batch x detections, best first",
            "labels": "batch x detections: the index into names and category_ids",
            "normalisation": f"inside the file: mean {MEAN}, standard deviation {STD}",
            "precision": self.precision,
            "quantised": self.quantised,
            "detections": self.limit,
            "ragged": self.ragged,
            "config": self.config.model_dump(mode="json"),
        }
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}

    @classmethod
    def read(cls, metadata: Mapping[str, str], file: str) -> "FileFacts":
        """Raises WeightsError for a file that was not exported by condetr, or by a later version."""
        if "condetr" not in metadata or "format" not in metadata:
            raise WeightsError(f"{file}: not exported by condetr. Export weights with: condetr export WEIGHTS")
        version = metadata["condetr"]
        try:
            if int(metadata["format"]) > FORMAT:
                raise WeightsError(f"{file}: exported by a later condetr ({version[:20]}). Update condetr")
            names, ids = json.loads(metadata["names"]), json.loads(metadata["category_ids"])
            thresholds = json.loads(metadata["thresholds"])
            return cls(
                version,
                metadata["weights"],
                parse(json.loads(metadata["config"]), file),
                Categories(tuple(map(int, ids)), tuple(None if name is None else str(name) for name in names)),
                None if thresholds is None else tuple(map(float, thresholds)),
                metadata["precision"],
                int(metadata["detections"]),
                bool(json.loads(metadata["ragged"])),
                tuple(map(str, json.loads(metadata.get("quantised", "[]")))),
            )
        except WeightsError:
            raise
        except (KeyError, TypeError, ValueError, RecursionError, CondetrError) as error:
            reason = " ".join(str(error).split())[:120]
            raise WeightsError(
                f"{file}: its metadata, of condetr {version[:20]}, cannot be read ({reason}). Export it again"
            ) from None
