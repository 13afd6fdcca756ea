"""The metadata of an exported file: written by the export, and read when the file is run."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed

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
        data = self.config.data
        prepare = Prepare.of(data.size, data.longest)
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
            "nms": self.config.model.nms,
            "ragged": self.ragged,
            "config": self.config.model_dump(mode="json"),
        }
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}

    @classmethod
    def read(cls, metadata: Mapping[str, str], file: str) -> "FileFacts":
        """Raises WeightsError for a file that was not exported by condetr, or by a later version."""
        if "condetr" not in metadata or "format" not in metadata:
            raise WeightsError(f"{file}: not exported by condetr. Export weights with: condetr export WEIGHTS")
        written = metadata["condetr"]
        try:
            if int(metadata["format"]) <= FORMAT:
                return cls._read(metadata, file)
        except KeyError as error:
            reason = f"{error.args[0]} is missing"
        except (TypeError, ValueError, RecursionError, CondetrError) as error:
            reason = " ".join(str(error).removeprefix(f"{file}: ").split())[:120]
        else:
            raise WeightsError(f"{file}: exported by a later condetr ({written[:20]}). Update condetr")
        if _is_later(written):
            raise WeightsError(f"{file}: exported by a later condetr ({written[:20]}; {reason}). Update condetr")
        raise WeightsError(
            f"{file}: its metadata, of condetr {written[:20]}, cannot be read ({reason}). Export it again"
        )

    @classmethod
    def _read(cls, metadata: Mapping[str, str], file: str) -> "FileFacts":
        """Raises KeyError, ValueError, RecursionError or CondetrError for values that an export does not write."""
        values = {key: json.loads(metadata[key]) for key in ("names", "category_ids", "thresholds", "config", "ragged")}
        quantised, limit = json.loads(metadata.get("quantised", "[]")), int(metadata["detections"])
        categories = Categories.read(values["category_ids"], values["names"])
        if metadata["precision"] not in PRECISIONS:
            raise ValueError(f"precision {metadata['precision'][:20]!r}")
        if not isinstance(values["config"], dict):
            raise ValueError("config must be an object")
        if limit < 1:
            raise ValueError(f"detections {limit}")
        if not isinstance(values["ragged"], bool):
            raise ValueError("ragged must be true or false")
        if not (isinstance(quantised, list) and all(isinstance(part, str) for part in quantised)):
            raise ValueError("quantised must be a list of names")
        return cls(
            metadata["condetr"], metadata["weights"], parse(values["config"], file), categories,
            categories.thresholds(values["thresholds"]), metadata["precision"], limit, values["ragged"],
            tuple(quantised),
        )  # fmt: skip


def package_version() -> str:
    """The version of condetr that is running."""
    return installed("condetr")


def _is_later(version: str) -> bool:
    """Whether a version of condetr is later than this one, by its leading numbers."""
    theirs, ours = ([int(part) for part in re.findall(r"\d{1,9}", one)[:3]] for one in (version, package_version()))
    return theirs > ours
