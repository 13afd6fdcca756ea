"""Which files belong to a data set: those in its folder. Files elsewhere are opened only with permission.

Label files can name any path of the machine, and reports show the images: an untrusted data set must not decide
which files are read.
"""

import os
from pathlib import Path


class Boundary:
    """The folders of a data set. Links inside them are followed: whoever set up the folder made them."""

    def __init__(self, *folders: Path, follow_outside: bool = False) -> None:
        self.follow_outside = follow_outside
        self._given = folders
        self._absolute = tuple(Path(os.path.abspath(folder)) for folder in folders)
        self._resolved = tuple(folder.resolve() for folder in folders)
        self._known: dict[Path, bool] = {}

    def with_folder(self, folder: Path) -> "Boundary":
        return Boundary(*self._given, folder, follow_outside=self.follow_outside)

    def contains(self, file: Path) -> bool:
        """Whether a file may be opened: it lies in one of the folders, or files elsewhere are permitted."""
        return (file.name not in ("", "..") and self.contains_folder(file.parent)) or self.contains_folder(file)

    def contains_folder(self, folder: Path) -> bool:
        if self.follow_outside:
            return True
        if folder not in self._known:
            self._known[folder] = self._lies_inside(folder)
        return self._known[folder]

    def _lies_inside(self, folder: Path) -> bool:
        for above in (*self._given, *self._absolute):
            if folder.is_relative_to(above) and ".." not in folder.relative_to(above).parts:
                return True
        try:
            resolved = folder.resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links, a name that is too long
            return False
        return any(resolved.is_relative_to(above) for above in self._resolved)
