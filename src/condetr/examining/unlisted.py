"""Images that lie beside those of the data set and that no label names: they are not used, which nobody may notice."""

import os
from collections.abc import Iterator
from pathlib import Path

from ..datasets.defects import Finding
from ..datasets.raw import RawDataSet
from ..images.decode import SUFFIXES
from ..plural import counted


def unlisted_images(raw: RawDataSet) -> list[Finding]:
    """One finding about the images in the folders of the data set's images that are in no split."""
    used: dict[Path, set[str]] = {}
    for split in raw.splits:
        for path, outside in zip(split.images.paths, split.images.outside):
            if not outside:
                used.setdefault(path.parent, set()).add(path.name)
    stems = {os.path.splitext(name)[0] for names in used.values() for name in names}
    rest = [folder / name for folder, names in used.items() for name in _others(folder, names)]
    for folder in _beside(used, raw.root):
        rest += [folder / name for name in _others(folder, set()) if os.path.splitext(name)[0] not in stems]
    if not rest:
        return []
    some = ", ".join(path.name for path in rest[:3]) + (", …" if len(rest) > 3 else "")
    return [Finding("unlisted_images", "", rest[0], None, f"{counted(len(rest), 'image')}: {some}")]


def _beside(used: dict[Path, set[str]], root: Path) -> Iterator[Path]:
    """The folders beside those of the images, and with their name in folders beside the one above
    (`extra/images` for `train/images`), as far as they are in the data set's folder."""
    above = {folder.parent for folder in used if folder != root and folder.is_relative_to(root)}
    above |= {folder.parent for folder in above if folder != root}
    names = {folder.name for folder in used}
    places = (place for folder in sorted(above) for place in _subfolders(folder))
    for folder in dict.fromkeys(one for place in places for one in (place, *(place / name for name in names))):
        if folder not in used and folder.is_dir():
            yield folder


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def _others(folder: Path, used: set[str]) -> list[str]:
    """The images of a folder that are not used; not those that have the name of a used one, as masks have (`a.png` for
    `a.jpg`)."""
    try:
        names = sorted(set(os.listdir(folder)) - used)
    except OSError:
        return []
    stems = {os.path.splitext(name)[0] for name in used}
    parts = ((name, *os.path.splitext(name)) for name in names if not name.startswith("."))
    found = (name for name, stem, suffix in parts if suffix.lower() in SUFFIXES and stem not in stems)
    return [name for name in found if (folder / name).is_file()]
