"""Where the images are that a COCO file names: file names come from other folders, machines and tools."""

import os
import unicodedata
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from .boundary import Boundary

SAMPLE = 50  # names that decide which folder the images are in


class ImageFinder:
    """The path of an image from its `file_name`.

    One folder is searched: of the usual ones, the one with the most of the names. A name is looked up as it is
    written, with percent signs decoded, and by its last words (`/home/me/birds/cam0/1.jpg` as `birds/cam0/1.jpg`,
    `cam0/1.jpg`, `1.jpg`), always in the spelling of the disk: `a.jpg` can be `a.JPG` where labels come from Windows,
    and `é` one character or two.
    """

    def __init__(self, names: list[str], file: Path, root: Path, split: str, boundary: Boundary) -> None:
        self.boundary = boundary
        self._spellings: dict[Path, dict[str, str]] = {}
        sample = names[:: max(1, len(names) // SAMPLE)][:SAMPLE]
        folders = _usual_folders(file, root, split)
        best = file.parent
        for lookup in (self._as_written, self._by_last_words):
            found = {folder: sum(lookup(folder, name) is not None for name in sample) for folder in folders}
            inside = [folder for folder in folders if found[folder] and boundary.contains_folder(folder)]
            best = max(inside or folders, key=found.__getitem__)
            if found[best]:
                break
        self.folder = best

    def __call__(self, name: str) -> Path:
        """The image's path, also where there is no such file. It lies outside the boundary only if the file exists
        there and none was found inside."""
        path = self._as_written(self.folder, name) or self._by_last_words(self.folder, name)
        if path is not None:
            return path
        name = name.replace("\\", "/")
        if _leaves(name):
            return self.folder / name if _is_file(self.folder / name) else self.folder / (_words(name) or ["_"])[-1]
        return self.folder / name

    def _as_written(self, folder: Path, name: str) -> Path | None:
        for form in _forms(name):
            if not _leaves(form):
                if path := self._listed(folder, form):
                    return path
            elif _is_file(folder / form) and self.boundary.contains(folder / form):
                return folder / form
        return None

    def _by_last_words(self, folder: Path, name: str) -> Path | None:
        for form in _forms(name):
            words = _words(form)
            for i in range(len(words)):
                if path := self._listed(folder, "/".join(words[i:])):
                    return path
        return None

    def _listed(self, folder: Path, name: str) -> Path | None:
        """A file or folder below `folder`, in the spelling of the disk."""
        above, _, word = name.rpartition("/")
        place = folder / above
        if place not in self._spellings:
            try:
                names = os.listdir(place)
            except (OSError, ValueError):
                names = []
            self._spellings[place] = {_plain(one): one for one in names} | {one: one for one in names}
        found = self._spellings[place].get(word) or self._spellings[place].get(_plain(word))
        return place / found if found else None


def _usual_folders(file: Path, root: Path, split: str) -> list[Path]:
    here, word = file.parent, file.stem.split("_")[-1]
    words = [word, here.name, split, *(("val", "validation") if split == "valid" else ())]
    folders = [here, here / "images", here / "data", here / "JPEGImages"]
    for base in dict.fromkeys((root, here, here.parent)):
        for one in dict.fromkeys(words):
            folders += [base / one, base / "images" / one, base / one / "images", base / "data" / one]
        folders += [base / "images", base / "data", base]
    return list(dict.fromkeys(folders))


def _forms(name: str) -> list[str]:
    name = name.replace("\\", "/")  # written on Windows
    return [name, unquote(name)] if "%" in name and "\0" not in unquote(name) else [name]


def _words(name: str) -> list[str]:
    """`C:/birds/../1.jpg` as birds and 1.jpg."""
    return [word for word in PurePosixPath(name).parts if word not in ("/", "//", "..") and not word.endswith(":")]


def _leaves(name: str) -> bool:
    """Whether a name can lead out of the folder it is joined to."""
    return name.startswith("/") or name[1:2] == ":" or (".." in name and ".." in PurePosixPath(name).parts)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
