"""Images that lie beside those of the data set and that no label names: they are not used, which nobody may notice."""

import os
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
    rest = [folder / name for folder, names in used.items() for name in _others(folder, names)]
    if not rest:
        return []
    some = ", ".join(path.name for path in rest[:3]) + (", …" if len(rest) > 3 else "")
    return [Finding("unlisted_images", "", rest[0], None, f"{counted(len(rest), 'image')}: {some}")]


def _others(folder: Path, used: set[str]) -> list[str]:
    """The images of a folder that are not used; not those that have the name of a used one, as masks have (`a.png` for
    `a.jpg`)."""
    try:
        names = sorted(set(os.listdir(folder)) - used)
    except OSError:
        return []
    stems = {os.path.splitext(name)[0] for name in used}
    parts = ((name, *os.path.splitext(name)) for name in names if not name.startswith("."))
    return [name for name, stem, suffix in parts if suffix.lower() in SUFFIXES and stem not in stems]
