"""All files below a folder, in a fixed order: linked folders are followed, each once, and hidden ones left out."""

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        visible = (name for name in folders if not name.startswith(".") and name != "__MACOSX")  # .ipynb_checkpoints
        folders[:] = sorted(name for name in visible if os.path.realpath(os.path.join(place, name)) not in seen)
        yield from (Path(place, name) for name in sorted(files))
