"""Facts about readable images, kept in a folder between runs: an unchanged file is not opened again."""

import json
import os
from dataclasses import astuple
from hashlib import blake2b
from pathlib import Path

from ..errors import CondetrError
from ..files import write_text
from ..home import cache_folder
from .facts import ImageFacts


def facts_folder() -> Path | None:
    """The user's folder for facts about images; None where there is no home folder."""
    return cache_folder("images")


class FactsCache:
    """One JSON file for each folder of images and each kind of inspection (`kind`). Losing it only costs time."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        self._files: dict[Path, dict[str, list[object]]] = {}

    def get(self, path: Path) -> ImageFacts | None:
        """The stored facts of a file whose size and modification time have not changed."""
        try:
            stamp = _stamp(path)
            entry = self._entries(path.parent).get(path.name)
            if not isinstance(entry, list) or list(stamp) != entry[:2]:
                return None
            upright, stored, orientation, kind, digest = entry[2:]
            return ImageFacts(_pair(upright), _pair(stored), int(str(orientation)), str(kind), str(digest), "")
        except (OSError, ValueError, TypeError, IndexError):
            return None

    def store(self, known: dict[Path, ImageFacts]) -> None:
        """Write the facts of all sound images. A cache that cannot be written is ignored."""
        for path, facts in known.items():
            if not facts.problem:  # a broken file may be repaired: it is opened again in each run
                try:
                    self._entries(path.parent)[path.name] = [*_stamp(path), *astuple(facts)[:-1]]
                except OSError:
                    continue
        for parent, entries in self._files.items():
            try:
                write_text(self._file(parent), json.dumps(entries))
            except (CondetrError, OSError, ValueError):
                return

    def _entries(self, parent: Path) -> dict[str, list[object]]:
        if parent not in self._files:
            try:
                content = json.loads(self._file(parent).read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError):
                content = {}
            self._files[parent] = content if isinstance(content, dict) else {}
        return self._files[parent]

    def _file(self, parent: Path) -> Path:
        digest = blake2b(os.fsencode(parent.absolute()), digest_size=12).hexdigest()
        return self.folder / f"{self.kind}-{digest}.json"


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _pair(value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError
    return int(value[0]), int(value[1])
