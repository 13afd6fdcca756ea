"""Pascal VOC to raw labels: one XML file for each image, in the devkit's folders or beside the images of each split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defusedxml import ElementTree

from ..errors import DataError
from ..images.decode import SUFFIXES
from ..types import Categories
from .boundary import Boundary
from .defects import Finding
from .raw import RawDataSet, RawSplit, folder_split, images, objects, split_name


@dataclass(frozen=True, slots=True)
class Folders:
    """The label files of one split, and the folders where their images can be."""

    labels: tuple[Path, ...]
    images: tuple[Path, ...]


def find(root: Path) -> dict[str, Folders]:
    """The splits of a VOC folder: a devkit (`Annotations`, `ImageSets/Main`), split folders, or one folder of XML."""
    found: dict[str, list[Folders]] = {}
    candidates = [root, root / "VOCdevkit", *root.glob("VOC*"), *root.glob("VOCdevkit/VOC*")]
    for base in dict.fromkeys(candidates):
        for split, folders in _devkit(base).items():
            found.setdefault(split, []).append(folders)
    if not found:
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            name = split_name(folder.name)
            labels = (
                _xml(folder) or _xml(folder / "Annotations") or _xml(folder / "annotations") or _xml(folder / "labels")
            )
            if name and labels:
                beside = (labels[0].parent, folder, folder / "images", folder / "JPEGImages")
                found.setdefault(name, []).append(Folders(labels, beside))
    if not found and _xml(root):
        found[folder_split(root.resolve()) or "train"] = [
            Folders(_xml(root), (root, root / "images", root / "JPEGImages"))
        ]
    order = [name for name in ("train", "valid", "test") if name in found]
    return {
        name: Folders(
            tuple(file for folders in found[name] for file in folders.labels),
            tuple(folder for folders in found[name] for folder in folders.images),
        )
        for name in order
    }


def read(splits: dict[str, Folders], root: Path, boundary: Boundary) -> RawDataSet:
    """Read the XML files. A category's id is its label: the index in the file `classes.txt` or `labels.txt` of the
    folder if there is one, else in the alphabetical order of the names."""
    findings: list[Finding] = []
    rows_of = {name: _split(name, folders, boundary, findings) for name, folders in splits.items()}
    names = _class_file(root) or sorted({row[1] for _, rows in rows_of.values() for row in rows})
    if not names:
        if all(not rows for rows, _ in rows_of.values()) and findings:
            raise DataError(f"{root}: none of its XML files can be read: {findings[0].file}: {findings[0].detail}")
        raise DataError(f"{root}: Pascal VOC XML without any named object")
    category = {name: i for i, name in enumerate(names)}
    raw = []
    for name, (image_rows, rows) in rows_of.items():
        known = []
        for row, word, *rest in rows:
            if word not in category:
                file = image_rows[row][1].name
                findings.append(Finding("unknown_category", name, file, rest[-1], f"'{word}' is not in the class file"))
            else:
                known.append((row, category[word], *rest))
        labels = splits[name].labels[0].parent
        raw.append(RawSplit(name, labels, images(image_rows, boundary), objects(known, relative=False)))
    return RawDataSet(root, "voc", Categories(tuple(range(len(names))), tuple(names)), tuple(raw), tuple(findings))


def _devkit(base: Path) -> dict[str, Folders]:
    annotations = next((base / name for name in ("Annotations", "annotations") if _xml(base / name)), None)
    if annotations is None:
        return {}
    beside = tuple(base / name for name in ("JPEGImages", "images", "Images")) + (annotations, base)
    lists = {file.stem: file for file in sorted((base / "ImageSets" / "Main").glob("*.txt"))}
    chosen = {name: lists[stem] for stem, name in (("trainval", "train"), ("train", "train"), ("val", "valid"),
              ("valid", "valid"), ("test", "test")) if stem in lists}  # fmt: skip
    if not chosen:
        return {"train": Folders(_xml(annotations), beside)}
    found = {}
    for name, file in chosen.items():
        lines = file.read_text(encoding="utf-8-sig", errors="replace").replace("\0", "").splitlines()
        listed = dict.fromkeys(_listed(line.strip(), annotations) for line in lines if line.strip())
        if listed:
            found[name] = Folders(tuple(listed), beside)
    return found


def _listed(line: str, annotations: Path) -> Path:
    """The label file of a line in ImageSets/Main: a stem, possibly with spaces or an image's suffix; lists of a single
    class have a number after it."""
    files = [annotations / f"{stem}.xml" for stem in (line, line.rsplit(".", 1)[0], line.split()[0])]
    return next((file for file in files if file.is_file()), files[-1])


def _xml(folder: Path) -> tuple[Path, ...]:
    files = folder.glob("*.xml") if folder.is_dir() else ()
    return tuple(sorted(file for file in files if file.is_file() and not file.name.startswith(".")))


def _class_file(root: Path) -> list[str]:
    for name in ("classes.txt", "labels.txt", "predefined_classes.txt"):
        if (root / name).is_file():
            lines = (root / name).read_text(encoding="utf-8-sig", errors="replace").splitlines()
            return list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    return []


def _split(name: str, folders: Folders, boundary: Boundary, findings: list[Finding]) -> tuple[list[Any], list[Any]]:
    """Rows of images, and rows of objects with the class name in place of the category."""
    by_stem: dict[str, Path] = {}
    for folder in reversed(folders.images):  # the first folder takes precedence
        if folder.is_dir():
            by_stem |= {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}
    image_rows: list[Any] = []
    object_rows: list[Any] = []
    for file in folders.labels:
        if not boundary.contains(file):
            findings.append(Finding("outside_folder", name, file.name, None, str(file)))
            continue
        try:
            tree = ElementTree.parse(file).getroot()
        except FileNotFoundError:
            findings.append(Finding("malformed_file", name, file.name, None, "listed in ImageSets/Main, not found"))
            continue
        except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
            findings.append(Finding("malformed_file", name, file.name, None, " ".join(str(error).split())[:100]))
            continue
        written = Path((tree.findtext("filename") or "").strip().replace("\\", "/").replace("\0", "")).name
        image = by_stem.get(file.stem) or by_stem.get(Path(written).stem) or by_stem.get(written)
        if image is None:
            image = folders.images[0] / (written or f"{file.stem}.jpg")
        size = [_length(tree.findtext(f"size/{side}")) for side in ("width", "height")]
        # the devkit's corners count pixels from 1 and include the last one; other tools write corners from 0
        first = 1 if (tree.findtext("source/database") or "").strip().startswith("The VOC") else 0
        row = len(image_rows)
        image_rows.append((row + 1, image, *size))
        for number, thing in enumerate(tree.findall("object"), start=1):
            word = (thing.findtext("name") or "").strip()
            try:
                x1, y1, x2, y2 = (float(thing.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax"))
            except (TypeError, ValueError):
                word = ""
            if not word:
                detail = f"object {number} has no name and bndbox of four numbers"
                findings.append(Finding("malformed_entry", name, file.name, number, detail))
                continue
            # `difficult` objects are neither required nor counted as false positives (VOC devkit, section 4.4)
            difficult = (thing.findtext("difficult") or "").strip() == "1"
            box = (x1 - first, y1 - first, x2, y2)
            object_rows.append((row, word, *box, difficult, float("nan"), number))
    return image_rows, object_rows


def _length(text: str | None) -> int:
    try:
        number = float(text or 0)
        return int(number) if 0 < number < 2**31 else 0
    except ValueError:
        return 0
