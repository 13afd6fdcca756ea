"""Pascal VOC to raw labels: one XML file for each image."""

import codecs
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from defusedxml import DefusedXmlException, ElementTree

from ..errors import DataError
from ..images.decode import SUFFIXES
from ..images.unread import UNREADABLE
from ..plural import counted
from ..text import lines_of, read_bytes, read_text
from ..types import Categories
from .boundary import Boundary
from .coco_boxes import are_fractions
from .defects import Finding, unlisted_labels
from .disk_names import plain
from .raw import RawDataSet, RawSplit, images, objects
from .voc_folders import Folders, unlisted
from .walk import files_below


def read(splits: dict[str, tuple[Folders, ...]], root: Path, boundary: Boundary) -> RawDataSet:
    """Read the XML files. A category's id is its label: the index in the file `classes.txt` or `labels.txt` of the
    folder if there is one, else in the alphabetical order of the names."""
    findings: list[Finding] = []
    rows_of = {name: _split(name, groups, boundary, findings) for name, groups in splits.items()}
    names = _class_file(root) or sorted({row[1] for _, rows, _ in rows_of.values() for row in rows})
    if not names:
        if all(not rows for rows, *_ in rows_of.values()) and findings:
            raise DataError(f"{root}: none of its XML files can be read: {findings[0].file}: {findings[0].detail}")
        first = f" ({findings[0].place(root)}: {findings[0].detail})" if findings else ""
        raise DataError(
            f"{root}: its XML files have no object that could be learned{first}. Pascal VOC has, in each <object>, "
            "a <name> and a <bndbox> with <xmin>, <ymin>, <xmax> and <ymax>"
        )
    category = {name: i for i, name in enumerate(names)}
    raw = []
    for name, (image_rows, rows, files) in rows_of.items():
        known = []
        for row, word, *rest in rows:
            if word not in category:
                detail = f"'{word}' is not in the class file"
                findings.append(Finding("unknown_category", name, files[row], rest[-1], detail, "object"))
            else:
                known.append((row, category[word], *rest))
        labels = splits[name][0].labels[0].parent
        relative = are_fractions(known)
        if relative:
            detail = f"{counted(len(known), 'box')}, all between 0 and 1"
            findings.append(Finding("fraction_boxes", name, files[0], None, detail))
        found = objects(known, "object", relative=relative)
        raw.append(RawSplit(name, labels, images(image_rows, files, boundary), found))
    for rest in unlisted(splits).values():
        findings.append(unlisted_labels(rest))
    return RawDataSet(root, "voc", Categories(tuple(range(len(names))), tuple(names)), tuple(raw), tuple(findings))


def _class_file(root: Path) -> list[str]:
    for name in ("classes.txt", "labels.txt", "label_list.txt", "predefined_classes.txt"):
        if (root / name).is_file():
            try:
                lines = lines_of(read_text(root / name))
            except (OSError, UnicodeDecodeError):
                raise DataError(f"{root / name}: not a readable text file. Write one class name in each line, as UTF-8"
                                ) from None  # fmt: skip
            return list(dict.fromkeys(" ".join(line.split()) for line in lines if line.strip()))
    return []


def _split(
    name: str, groups: tuple[Folders, ...], boundary: Boundary, findings: list[Finding]
) -> tuple[list[Any], list[Any], list[Path]]:
    """Rows of images, rows of objects with the class name in place of the category, and each image's label file."""
    image_rows: list[Any] = []
    object_rows: list[Any] = []
    files: list[Path] = []
    for folders in groups:
        find = _ImageFinder(folders)
        for file in folders.labels:
            tree = _parsed(file, name, boundary, findings)
            if tree is not None:
                files.append(file)
                _add(tree, file, find, name, image_rows, object_rows, findings)
    return image_rows, object_rows, files


class _ImageFinder:
    """The image of a label file: the file that it names, if it is named alike, else the image that is named alike,
    else the file that it names."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self._names: dict[Path, dict[str, Path]] = {}
        self._deep: dict[str, list[Path]] | None = None

    def __call__(self, label: Path, written: str, words: tuple[str, ...] = ()) -> Path:
        """`written` is the name that the label file has for its image, `words` the folders that it names."""
        below = label.parent.relative_to(self.folders.root) if label.is_relative_to(self.folders.root) else Path()
        places = dict.fromkeys(place for folder in self.folders.images for place in (folder / below, folder))
        names = [written] if Path(written).stem == label.stem else []
        decoded = (unquote(written), unquote(label.stem))
        for name in dict.fromkeys((*names, label.stem, Path(written).stem, written, *decoded)):
            for place in places:
                if path := self._listed(place).get(name) or self._listed(place).get(plain(name)):
                    return path
        if path := self._below(label, written, words):
            return path
        return self.folders.images[0] / (written or f"{label.stem}.jpg")

    def _below(self, label: Path, written: str, words: tuple[str, ...]) -> Path | None:
        """The only image with this name in subfolders of the folders of the images, or of several, that in the folder
        which the label file names."""
        if self._deep is None:
            self._deep = {}
            below = dict.fromkeys(file for folder in self.folders.images[:1] for file in files_below(folder))
            for file in below:
                if file.suffix.lower() in SUFFIXES:
                    for name in {plain(file.name), plain(file.stem)}:
                        self._deep.setdefault(name, []).append(file)
        for name in dict.fromkeys((plain(label.stem), plain(written), plain(Path(written).stem))):
            found = self._deep.get(name, [])
            if len(found) > 1:
                found = [file for file in found if words and plain(file.parent.name) == plain(words[-1])]
            if len(found) == 1:
                return found[0]
        return None

    def _listed(self, place: Path) -> dict[str, Path]:
        """The images of a folder by name, and by stem: of several, the first (`a.jpg` before the mask `a.png`), those
        of a format that is not read last."""
        if place not in self._names:
            files = sorted(place.iterdir()) if place.is_dir() else []
            images = [path for known in (SUFFIXES, UNREADABLE) for path in files if path.suffix.lower() in known]
            self._names[place] = names = {path.stem: path for path in reversed(images)}
            names |= {path.name: path for path in images}
            for name, path in list(names.items()):
                names.setdefault(plain(name), path)
        return self._names[place]


def _parsed(file: Path, split: str, boundary: Boundary, findings: list[Finding]) -> Any:
    """The root element, tags in lower case and without namespaces; None, with a finding, for a file that cannot be
    read."""
    if not boundary.contains(file):
        findings.append(Finding("outside_folder", split, file, None, str(file)))
        return None
    try:
        content = read_bytes(file)
        tree = ElementTree.fromstring(_xml_text(content))
        for element in tree.iter():
            element.tag = element.tag.rpartition("}")[2].lower()
        inner = tree.findall("annotation")
        tree = inner[0] if len(inner) == 1 else tree
        if tree.tag == "annotation" or any(tree.find(tag) is not None for tag in ("filename", "object", "size")):
            return tree
        several = f" with {counted(len(inner), 'annotation')}, which belong into a file each" if inner else ""
        findings.append(Finding("malformed_file", split, file, None, f"<{tree.tag}>{several}: not Pascal VOC's XML"))
    except DefusedXmlException:
        findings.append(Finding("malformed_file", split, file, None, "declares entities: remove its <!DOCTYPE …>"))
    except FileNotFoundError:
        findings.append(Finding("malformed_file", split, file, None, "in the list of the split, but not found"))
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        findings.append(Finding("malformed_file", split, file, None, " ".join(str(error).split())[:100]))
    return None


# what programs mean by these names (WHATWG, Encoding Standard, section 4.2): with the characters that Windows added
_MEANT = {
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932",
    "euc-kr": "cp949", "big5": "big5hkscs", "iso-8859-1": "cp1252", "latin1": "cp1252", "iso-8859-9": "cp1254",
}  # fmt: skip


def _xml_text(content: bytes) -> str | bytes:
    """Text without its declaration, which may come after empty lines or name an encoding that the parser does not know
    or that the file does not have (.NET writes `utf-16` into UTF-8 files); as it is in any other case."""
    content = content.removeprefix(codecs.BOM_UTF8)
    declared = re.match(rb"\s*<\?xml[^>]*?(?:encoding=[\"']([A-Za-z0-9._-]+)[\"'][^>]*)?\?>", content)
    if declared is None:
        return content
    encoding = (declared[1] or b"utf-8").decode().lower()
    if encoding in ("utf-8", "utf8", "utf-16", "utf16", "unicode"):
        return content[declared.end() :]  # has no zero bytes: UTF-8
    text = content[declared.end() :]
    for possible in (_MEANT.get(encoding, encoding), "utf-8"):
        try:
            return text.decode(possible)
        except UnicodeDecodeError:
            continue
    return text.decode(encoding)


def _add(
    tree: Any,
    file: Path,
    find: _ImageFinder,
    split: str,
    image_rows: list[Any],
    object_rows: list[Any],
    findings: list[Finding],
) -> None:
    """Append the rows of one label file."""
    written = Path((tree.findtext("filename") or "").strip().replace("\\", "/").replace("\0", "")).name
    path = PurePosixPath((tree.findtext("path") or "").strip().replace("\\", "/").replace("\0", "")).parent
    above = path.parts or PurePosixPath((tree.findtext("folder") or "").strip().replace("\\", "/")).parts
    image = find(file, written, above)
    size = [_length(tree.findtext(f"size/{side}")) for side in ("width", "height")]
    # the devkit's corners count pixels from 1 and include the last one; other tools write corners from 0
    first = 1 if (tree.findtext("source/database") or "").strip().startswith("The VOC") else 0
    row = len(image_rows)
    image_rows.append((row + 1, image, *size))
    for number, thing in enumerate(tree.findall("object") or tree.findall(".//object"), start=1):
        word = " ".join((thing.findtext("name") or "").split())
        try:
            corners = [thing.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
            x1, y1, x2, y2 = (float(corner.replace(",", ".")) for corner in corners)
        except (AttributeError, ValueError):
            word = ""
        if not word:
            detail = "no name and bndbox of four numbers"
            findings.append(Finding("malformed_entry", split, file, number, detail, "object"))
            continue
        # `difficult` objects are neither required nor counted as false positives (VOC devkit, section 4.4)
        difficult = (thing.findtext("difficult") or "").strip().lower() in ("1", "1.0", "true", "yes")
        box = (x1 - first * (x1 <= x2), y1 - first * (y1 <= y2), x2 - first * (x2 < x1), y2 - first * (y2 < y1))
        object_rows.append((row, word, *box, difficult, float("nan"), number))


def _length(text: str | None) -> int:
    try:
        number = float(text or 0)
        return int(number) if 0 < number < 2**31 else 0
    except ValueError:
        return 0
