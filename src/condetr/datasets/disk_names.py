"""Files in the disk's spelling: labels can write `Train/a.JPG` for `train/a.jpg`, and `é` as one character or two."""

import os
import unicodedata
from pathlib import Path


class DiskNames:
    """Lists every folder once."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, str]] = {}

    def find(self, folder: Path, name: str) -> Path | None:
        """The file or folder below `folder`, also several folders down; None if there is none."""
        path = folder
        for word in name.split("/"):
            if word in ("", "."):
                continue
            names = self._listing(path)
            found = names.get(word) or names.get(plain(word))
            if found is None:
                return None
            path = path / found
        return None if path is folder else path

    def names(self, folder: Path) -> list[str]:
        return sorted(set(self._listing(folder).values()))

    def _listing(self, folder: Path) -> dict[str, str]:
        if folder not in self._names:
            try:
                names = os.listdir(folder)
            except (OSError, ValueError):
                names = []
            self._names[folder] = {plain(one): one for one in names} | {one: one for one in names}
        return self._names[folder]


def plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
