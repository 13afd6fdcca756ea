"""Images of `train` that a folder or a list gives to another split, which nobody may notice."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from ..datasets.defects import Finding
from ..datasets.raw import RawDataSet, folder_split, split_name
from ..datasets.walk import files_below
from ..plural import counted
from ..text import decoded, lines_of

_LISTS = (".txt", ".lst", ".list", ".csv", ".tsv", ".json", "")  # suffixes of files that can list a split
_OF_ALL = re.compile(r"(^|[^a-z])(splits?|partitions?|subsets?|sets)($|[^a-z])")  # how a file of all splits is called
_LARGEST = 1 << 24  # bytes of such a file
_MOST = 100_000  # files among which it is sought


def other_splits(raw: RawDataSet) -> list[Finding]:
    """One finding for each folder and each list with the name of `valid` or `test` that has images of `train`, unless
    the data set has images in that split: it may have been divided anew."""
    missing = {"valid", "test"} - {split.name for split in raw.splits if split.images.paths}
    parts = [split.images for split in raw.splits if split.name == "train"]
    train = [path for part in parts for path in part.paths]
    labels = [path for part in parts for path in part.label_files]
    held_out = {path.stem for split in raw.splits if split.name != "train" for path in split.images.paths}
    folders: dict[Path, int] = {}
    for (image, label), number in Counter(zip((p.parent for p in train), (p.parent for p in labels))).items():
        if (folder := _held_out_folder(image, raw.root) or _held_out_folder(label, raw.root)) is not None:
            folders[folder] = folders.get(folder, 0) + number
    findings = [_other_split(folder, n) for folder, n in folders.items() if split_name(folder.name) in missing]
    stems = {path.stem for path in train} - held_out
    for file in _lists(raw.root, stems, missing) if missing else ():
        if number := len(stems & _named_in(file)):
            findings.append(_other_split(file, number))
    return findings


def _other_split(place: Path, number: int) -> Finding:
    detail = f"{counted(number, 'image')} of train"
    return Finding("other_split", "train", place, None, detail)


def _held_out_folder(place: Path, root: Path) -> Path | None:
    """The folder with the name of `valid` or `test` in the path of a folder, if none above it is called `train`."""
    if not place.is_relative_to(root):
        return None
    folder = root
    for word in place.relative_to(root).parts:
        folder = folder / word
        if (name := split_name(word)) is not None:
            return folder if name != "train" else None
    return None


def _lists(root: Path, stems: set[str], missing: set[str]) -> Iterator[Path]:
    """The files of a folder that can list the images of the missing splits, at most three folders deep."""
    for file in islice(files_below(root), _MOST):
        depth = len(file.relative_to(root).parts)
        if depth <= 3 and file.suffix.lower() in _LISTS and file.stem not in stems and not file.name.startswith("."):
            words = (file.stem, file.parent.name if depth > 1 else "")
            name = next(filter(None, map(split_name, words)), None)
            if name in missing or (name is None and _OF_ALL.search(file.stem.lower())):
                yield file


def _named_in(file: Path) -> set[str]:
    """The names without suffixes that begin the lines of a text, or that JSON has in quotes; no numbers, which can be
    labels, but in lines with nothing else. Of a file of all splits, only those of `valid` and `test`."""
    try:
        if not file.is_file() or file.stat().st_size > _LARGEST:
            return set()
        text = decoded(file.read_bytes(), errors="replace")
    except OSError:
        return set()
    of_all = split_name(file.stem) is None and split_name(file.parent.name) is None
    if file.suffix.lower() == ".json":
        parts = re.findall(r'"([^"\n]+)"\s*:\s*\[([^][]*)\]', text) if of_all else []
        text = " ".join(names for key, names in parts if split_name(key) in ("valid", "test")) if of_all else text
        words = re.findall(r'"([^"\n]+)"', text)
    else:
        lines = [line.strip().strip("\"'") for line in lines_of(text)]
        if of_all:
            lines = [
                one for one in lines if any(folder_split(w) in ("valid", "test") for w in re.split(r"[\s,;]+", one))
            ]
        words = [word for line in lines for word in (line, *re.split(r"[\s,;]+", line)[:2])]
        whole = set(lines)
        words = [word for word in words if not re.fullmatch(r"[0-9.]+", word) or word in whole]
    names = {PurePosixPath(word.replace("\\", "/")).name for word in words}
    return names | {os.path.splitext(name)[0] for name in names}
