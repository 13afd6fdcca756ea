"""A clean data set: images and their objects in named splits, as training and evaluation use it."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from numbers import Real
from pathlib import Path

from ..arguments import instance_of, whole_number
from ..errors import DataError
from ..plural import counted
from ..types import Categories, Sample

FORMATS = {"coco": "COCO", "yolo": "YOLO", "voc": "Pascal VOC", "imagefolder": "Hugging Face image folder"}


@dataclass(frozen=True, slots=True)
class Split:
    """`name` is "train", "valid" or "test"."""

    name: str
    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __repr__(self) -> str:
        return f"<Split {self.name}: {counted(len(self), 'image')}>"


@dataclass(frozen=True, slots=True)
class DataSet:
    """The result of `examine`: every image can be decoded; every box is finite, inside its image and not empty.

    `format` is a key of `FORMATS`.
    """

    root: Path
    format: str
    categories: Categories
    splits: dict[str, Split]

    def __repr__(self) -> str:
        splits = ", ".join(f"{name} {len(split):,}" for name, split in self.splits.items())
        return f"<DataSet {self.root}: {counted(len(self.categories.real), 'class')}; images: {splits}>"

    @property
    def name(self) -> str:
        """Its folder's name, also where the path was `.`"""
        return self.root.resolve().name

    @property
    def format_name(self) -> str:
        """The format as people write it, such as `Pascal VOC`."""
        return FORMATS[self.format]

    def split(self, name: str) -> Split:
        """A split by its name. Raises DataError, which lists the splits, if there is none of that name."""
        if name not in self.splits:
            there = ", ".join(self.splits) or "none"
            raise DataError(f"{self.root}: no split '{name}'. There are: {there}")
        return self.splits[name]

    def with_held_out(self, fraction: float, seed: int) -> "DataSet":
        """The same data with about `fraction` of `train` moved to `valid`, for a folder that has no `valid`.

        The choice depends on the seed and each image's file name alone: it is the same on every machine and for every
        order of the files, and adding images moves no other image. Copies that Roboflow made of one source
        (`name.rf.<hash>.jpg`) stay together: an augmented copy of a training image does not measure generalisation.
        Raises DataError when there is already a `valid`, or `train` has fewer than two sources.
        """
        instance_of(fraction, "fraction", Real, "a number between 0 and 1")
        seed = whole_number(seed, "seed")
        if not 0 < fraction < 1:
            raise DataError(f"{self.root}: cannot hold out a fraction of {fraction}. Give a number between 0 and 1")
        if "valid" in self.splits:
            raise DataError(f"{self.root}: already has a split 'valid', so nothing is held out")
        train = self.split("train").samples
        rank = {source(sample.path): _uniform(source(sample.path), seed) for sample in train}
        if len(rank) < 2:
            raise DataError(f"{self.root}: too few training images to hold any out. Add images or a split 'valid'")
        ordered = sorted(rank, key=lambda name: rank[name])
        chosen = {name for name in ordered if rank[name] < fraction} or {ordered[0]}
        if len(chosen) == len(ordered):
            chosen.discard(ordered[-1])
        kept = tuple(sample for sample in train if source(sample.path) not in chosen)
        held = tuple(sample for sample in train if source(sample.path) in chosen)
        splits = {"train": Split("train", kept), "valid": Split("valid", held)}
        return DataSet(self.root, self.format, self.categories, {**self.splits, **splits})


def source(path: Path) -> str:
    """The name of the image that a file is a copy of: Roboflow writes copies of `a.jpg` as `a_jpg.rf.<hash>.jpg`."""
    return path.name.split(".rf.")[0]


def _uniform(name: str, seed: int) -> float:
    digest = blake2b(f"{seed}/{name}".encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
