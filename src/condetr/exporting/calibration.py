"""Images of a data set's train split, on which the ranges of an int8 model are calibrated."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..datasets.open import open_dataset
from ..errors import CondetrError, DataError
from ..files import quoted
from ..images.decode import open_image
from ..images.prepare import Prepare
from ..runtime.runtime import Scaled

SEED = 0


@dataclass(frozen=True, slots=True)
class CalibrationImages(Iterable[Scaled]):
    """Images at the detector's input size, read anew in every iteration. Those that cannot be read are left out."""

    data: Path
    paths: tuple[Path, ...]
    prepare: Prepare

    @classmethod
    def of(cls, data: Path, prepare: Prepare, number: int, follow_outside: bool) -> "CalibrationImages":
        """At most `number` images, the same ones for the same data. Raises DataError without a train split."""
        splits = {split.name: split.images for split in open_dataset(data, follow_outside=follow_outside).splits}
        if "train" not in splits:
            raise DataError(
                f"{data}: no split 'train' to calibrate int8 on. There are: {', '.join(splits) or 'none'}. Give the "
                "data that the weights were trained on"
            )
        paths = [path for path, outside in zip(splits["train"].paths, splits["train"].outside) if not outside]
        chosen = np.random.default_rng(SEED).permutation(len(paths))[:number]
        return cls(data, tuple(paths[i] for i in sorted(chosen)), prepare)

    def __iter__(self) -> Iterator[Scaled]:
        read = 0
        for path in self.paths:
            try:
                image = open_image(path)
            except CondetrError:  # `condetr doctor` lists them
                continue
            read += 1
            yield self.prepare.scale(image)
        if not read:
            raise DataError(
                f"{self.data}: no image of 'train' can be read. `condetr doctor {quoted(self.data)}` gives the reasons"
            )
