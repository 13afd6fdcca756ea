"""All files below a folder, in a fixed order: linked folders are followed, each once, and hidden ones left out."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

# of other systems, with thumbnails, deleted files and the like
_OF_SYSTEMS = ("__macosx", "@eadir", "#recycle", "@recycle", "@tmp", "$recycle.bin", "system volume information")


def files_below(folder: Path) -> Iterator[Path]:
    for place, files in listed_below(folder):
        yield from (Path(place, name) for name in files)


def listed_below(
    folder: Path, failed: Callable[[OSError], object] | None = None, skip: Callable[[str], bool] = lambda place: False
) -> Iterator[tuple[str, list[str]]]:
    """Each folder with the sorted names of its files; `failed` is called with the error of a folder that cannot be
    listed. A link to a folder is not followed where that folder is listed itself, or contains the first one."""
    top = os.path.realpath(folder)
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, onerror=failed, followlinks=True):
        folders[:] = sorted(name for name in folders if not (is_hidden(name) or skip(os.path.join(place, name))))
        for name in (name for name in list(folders) if os.path.islink(os.path.join(place, name))):
            target = os.path.realpath(os.path.join(place, name))
            if target in seen or _is_listed(Path(target), Path(top)) or Path(top).is_relative_to(target):
                folders.remove(name)
            seen.add(target)
        yield place, sorted(files)


def _is_listed(target: Path, top: Path) -> bool:
    return target.is_relative_to(top) and not any(map(is_hidden, target.relative_to(top).parts))


def is_hidden(folder: str) -> bool:
    """Whether a folder's name begins with a point, as `.ipynb_checkpoints`, or is that of an operating system's."""
    return folder.startswith(".") or folder.lower() in _OF_SYSTEMS
