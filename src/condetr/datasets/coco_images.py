"""Where the images are that a COCO file names: file names come from other folders, machines and tools."""

import html
import re
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

from ..images.decode import SUFFIXES
from .boundary import Boundary
from .disk_names import DiskNames, plain
from .raw import split_name
from .walk import files_below

SAMPLE = 50  # names that decide which folder the images are in
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")  # Label Studio writes it before the names of uploaded files


class ImageFinder:
    """The path of an image from its `file_name`.

    One folder is searched: of the usual ones, the one with the most of the names. A name is looked up as it is
    written, with percent signs decoded, without an address's query, and by its last words (`/home/me/birds/cam0/1.jpg`
    as `birds/cam0/1.jpg`, `cam0/1.jpg`, `1.jpg`), always in the spelling of the disk: `a.jpg` can be `a.JPG` where
    labels come from Windows, and `é` one character or two. A name that is in none of these places can be that of one
    image below the folder, also if one of the two lacks Label Studio's prefix or the name lacks a suffix. Where none is
    found, all images may have been converted: then a suffix can be another one (`a.png` for `a.jpg`).
    """

    def __init__(self, names: list[str], file: Path, root: Path, split: str, boundary: Boundary) -> None:
        self.boundary = boundary
        self._disk = DiskNames()
        self._files: dict[Path, dict[str, list[Path]]] = {}
        self._converted = False
        sample = names[:: max(1, len(names) // SAMPLE)][:SAMPLE]
        folders = [folder for folder in self._usual_folders(file, root, split) if boundary.contains_folder(folder)]
        below = [folder for folder in folders if folder.is_relative_to(root) or folder.is_relative_to(file.parent)]
        deepest_first = sorted(below, key=lambda folder: -len(folder.parts))
        self.folder = file.parent
        for lookup, places in (
            (self._as_written, folders), (self._by_last_words, folders), (self._below, deepest_first),
            (self._with_another_suffix, deepest_first),
        ):  # fmt: skip
            found = {folder: sum(lookup(folder, name) is not None for name in sample) for folder in places}
            best = max(places, key=found.__getitem__, default=self.folder)
            if found.get(best):
                self.folder = best
                self._converted = lookup == self._with_another_suffix
                break

    def __call__(self, name: str) -> Path:
        """The image's path, also where there is no such file. It lies outside the boundary only if the file exists
        there and none was found inside."""
        for lookup in (self._as_written, self._by_last_words, self._below):
            if path := lookup(self.folder, name):
                return path
        if self._converted and (path := self._with_another_suffix(self.folder, name)):
            return path
        name = name.replace("\\", "/")
        if _leaves(name):
            return self.folder / name if _is_file(self.folder / name) else self.folder / (_words(name) or ["_"])[-1]
        return self.folder / name

    def _as_written(self, folder: Path, name: str) -> Path | None:
        for form in _forms(name):
            if not _leaves(form):
                if path := self._disk.find(folder, form):
                    return path
            elif _is_file(folder / form) and self.boundary.contains(folder / form):
                return folder / form
        return None

    def _by_last_words(self, folder: Path, name: str) -> Path | None:
        for form in _forms(name):
            words = _words(form)
            for i in range(len(words)):
                if path := self._disk.find(folder, "/".join(words[i:])):
                    return path
        return None

    def _below(self, folder: Path, name: str) -> Path | None:
        """The only image below a folder with this name, with or without Label Studio's prefix and its suffix."""
        if folder not in self._files:
            by_name: dict[str, list[Path]] = {}
            self._files[folder] = by_name
            for path in files_below(folder) if folder.is_dir() else ():
                if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                    name_on_disk = plain(path.name)
                    for key in {name_on_disk, plain(path.stem), _UPLOAD.sub("", name_on_disk, count=1)}:
                        by_name.setdefault(key, []).append(path)
        for form in _forms(name):
            word = plain((_words(form) or [""])[-1])
            for key in (word, _UPLOAD.sub("", word, count=1)):
                found = self._files[folder].get(key, [])
                if len(found) == 1 and self.boundary.contains(found[0]):
                    return found[0]
        return None

    def _with_another_suffix(self, folder: Path, name: str) -> Path | None:
        stem, dot, suffix = name.rpartition(".")
        return self._below(folder, stem) if f"{dot}{suffix}".lower() in SUFFIXES else None

    def _usual_folders(self, file: Path, root: Path, split: str) -> list[Path]:
        here, word = file.parent, file.stem.split("_")[-1]
        words = [word, here.name, split, *(("val", "validation") if split == "valid" else ())]
        folders = [here, here / "images", here / "data", here / "JPEGImages"]
        for base in dict.fromkeys((root, here, here.parent)):
            for one in dict.fromkeys(words):
                folders += [base / one, base / "images" / one, base / one / "images", base / "data" / one]
            folders += [*self._named_alike(base, split), *self._named_alike(base / "images", split)]
            folders += [base / "images", base / "data", base]
        return list(dict.fromkeys(self._spelled(folder, root) for folder in folders))

    def _named_alike(self, base: Path, split: str) -> list[Path]:
        """Folders such as `train_images` and `images-train`."""
        return [base / one for one in self._disk.names(base) if split_name(one) == split]

    def _spelled(self, folder: Path, root: Path) -> Path:
        """A folder below the root in the spelling of the disk."""
        if folder == root or not folder.is_relative_to(root):
            return folder
        return self._disk.find(root, folder.relative_to(root).as_posix()) or folder


def _forms(name: str) -> list[str]:
    """The ways to read a name: as it is, then as an address, a path with escapes, Label Studio's `?d=` of a file."""
    written, name = name, name.replace("\\", "/")  # of Windows; there are archives that unpack to such names elsewhere
    forms = [written, name, name.strip()]
    if "://" in name or "?" in name or "#" in name:
        try:
            address = urlsplit(name.strip())
            forms += [*parse_qs(address.query).get("d", ()), unquote(address.path)]
        except ValueError:  # not an address
            pass
    if "%" in name or "+" in name:
        forms += [unquote(name), unquote_plus(name)]
    if "&" in name:
        forms.append(html.unescape(name))
    return [form for form in dict.fromkeys(forms) if form and "\0" not in form]


def _words(name: str) -> list[str]:
    """`C:/birds/../1.jpg` as birds and 1.jpg."""
    return [word for word in PurePosixPath(name).parts if word not in ("/", "//", "..") and not word.endswith(":")]


def _leaves(name: str) -> bool:
    """Whether a name can lead out of the folder it is joined to."""
    return name.startswith("/") or name[1:2] == ":" or (".." in name and ".." in PurePosixPath(name).parts)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
