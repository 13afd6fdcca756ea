"""Label formats that are recognised and not read, each with a way to convert it."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_MOST = 200  # files that are looked at
_HEAD = 4096

_LABELME = "labelme JSON", "convert it with `labelme2coco` (pip install labelme2coco)"
_CREATEML = "CreateML JSON", "convert it to COCO with Roboflow or FiftyOne"
_SUPERVISELY = "Supervisely JSON", "export it from Supervisely as COCO"
_CVAT = "CVAT XML", "export it from CVAT as COCO 1.0, or convert it with `datum convert -if cvat -f coco`"
_CSV = "CSV", "convert it to COCO, YOLO or Pascal VOC"
_VISDRONE = "VisDrone text", "convert it with the script in ultralytics' VisDrone.yaml"
_IMAGEFOLDER = (
    "a Hugging Face image folder (metadata.jsonl)",
    "convert it to COCO: bbox is [x, y, width, height] there too",
)
_PARQUET = "Parquet", "export it with `datasets`: load_dataset('parquet', …), then write COCO JSON"
_LABEL_STUDIO = "Label Studio JSON", "export it from Label Studio as COCO or YOLO"
_VIA = "VGG Image Annotator JSON", "export it from VIA as COCO"


def recognise(root: Path) -> tuple[str, str, Path] | None:
    """The name of the format of labels in a folder or file, a way to convert it, and the file that shows it."""
    for file in islice(_files(root), _MOST):
        try:
            found = _format(file)
        except (OSError, ValueError, RecursionError):
            continue
        if found is not None:
            return *found, file
    return None


def _files(root: Path) -> Iterator[Path]:
    """Label files of a folder, at most three folders deep, the upper ones first; images are left out."""
    if root.is_file():
        yield root
        return
    suffixes = (".json", ".jsonl", ".xml", ".csv", ".parquet", ".txt")
    for pattern in ("*", "*/*", "*/*/*"):
        yield from (file for file in sorted(root.glob(pattern)) if file.suffix.lower() in suffixes and file.is_file())


def _format(file: Path) -> tuple[str, str] | None:
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        return _PARQUET
    with file.open("rb") as opened:
        head = opened.read(_HEAD).decode("utf-8-sig", errors="replace")
    if suffix == ".jsonl":
        return _IMAGEFOLDER if '"file_name"' in head else None
    if suffix == ".xml":
        return _CVAT if "<annotations" in head and ("<image" in head or "<track" in head or "<meta" in head) else None
    if suffix == ".csv":
        return _CSV if "," in head else None
    if suffix == ".txt":
        return _VISDRONE if _is_visdrone(head) else None
    return _json_format(file, head)


def _is_visdrone(head: str) -> bool:
    """Lines of eight integers: x, y, width, height, score, class, truncation, occlusion (some end in a comma)."""
    lines = [line.strip().rstrip(",").split(",") for line in head.splitlines()[:3] if line.strip()]
    return bool(lines) and all(len(words) == 8 and all(w.strip("- ").isdecimal() for w in words) for words in lines)


def _json_format(file: Path, head: str) -> tuple[str, str] | None:
    if '"shapes"' in head and ('"imagePath"' in head or '"points"' in head):
        return _LABELME
    if '"classTitle"' in head or ('"classes"' in head and '"tags"' in head):
        return _SUPERVISELY
    if '"regions"' in head and '"shape_attributes"' in head:
        return _VIA
    if '"annotations"' in head and '"coordinates"' in head and '"image' in head:
        return _CREATEML
    if '"rectanglelabels"' in head:
        return _LABEL_STUDIO
    if '"imageData"' in head or '"imagePath"' in head:  # labelme may store the image before the shapes
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        return _LABELME if isinstance(content, dict) and "shapes" in content else None
    return None
