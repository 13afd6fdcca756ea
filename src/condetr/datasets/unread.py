"""Label formats that are recognised and not read, each with a way to convert it."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ..text import decoded, lines_of

_MOST = 200  # files that are looked at
_HEAD = 1 << 18  # bytes: settings or an embedded image can come before the labels

# {folder} is the data set's. The commands were run on small examples and their boxes compared, but for `-if datumaro`
_DATUM = "pip install 'datumaro[cli]', then datum convert -i {folder} -if %s -f coco -o {folder}-coco -- --save-media"
_LABELME = "labelme JSON", "convert it: pip install labelme2coco, then labelme2coco {here} --export_dir {here}"
_CREATEML = "CreateML JSON", "convert it to COCO, whose x and y are a corner and not the centre"
_SUPERVISELY = "Supervisely JSON", "export it from Supervisely as COCO"
_CVAT = "CVAT XML", f"export it from CVAT as COCO 1.0, or: {_DATUM % 'cvat'}"
_KITTI = "KITTI text", f"convert it: {_DATUM % 'kitti_detection'}"
_WIDER = "WIDER FACE text", f"convert it: {_DATUM % 'wider_face'}"
_MOT = "MOT text", f"convert it: {_DATUM % 'mot_seq'}"
_CSV = "CSV", "convert it to an image folder (the page on data sets has a script), or export it as COCO or YOLO"
_VISDRONE = "VisDrone text", "convert it to COCO: a line is x, y, width, height, score, class, truncation, occlusion"
_DOTA = (
    "DOTA text (oriented boxes)",
    "convert it to YOLO: a class and the corners, as fractions of the image, in each line",
)
_PARQUET = "Parquet", "export it to image files with a metadata.jsonl (the page on data sets has a script)"
_ARROW = "Arrow", "export it to image files with a metadata.jsonl (the page on data sets has a script)"
_TFRECORD = "TFRecord", "export it as COCO, YOLO or Pascal VOC"
_LABEL_STUDIO = "Label Studio JSON", "export it from Label Studio as COCO or YOLO"
_LABELBOX = "Labelbox JSON", "convert it to COCO: a bounding box has top, left, height and width there"
_MANIFEST = "SageMaker manifest", "convert it to COCO: a box has left, top, width and height there"
_VIA = "VGG Image Annotator JSON", "export it from VIA as COCO"
_VIA_CSV = "VGG Image Annotator CSV", "export it from VIA as COCO"
_DATUMARO = "Datumaro JSON", f"convert it: {_DATUM % 'datumaro'}"
_FIFTYONE = "FiftyOne JSON", "export it from FiftyOne as fiftyone.types.COCODetectionDataset"
_BDD = "BDD100K JSON", "convert it to COCO: box2d has the corners x1, y1, x2, y2"
_VOTT = "VoTT JSON", "export it from VoTT as Pascal VOC"
_KERAS = "Keras YOLO text", "export it as COCO or YOLO; a line is an image and x1,y1,x2,y2,class of each box"
_LANGUAGE = "JSON lines for language models", "export it as COCO, YOLO or Pascal VOC"
_LABELME_XML = "LabelMe XML", "export it from CVAT as COCO 1.0"
_ROTATED = "XML with rotated boxes (robndbox)", "convert it: a bndbox has xmin, ymin, xmax and ymax"
_MMDET = "MMDetection JSON", "convert it to COCO: a box has the corners x1, y1, x2, y2"
_YOLO = (
    "YOLO text without the usual folders",
    "put it beside the images, or into a folder labels beside the folder images, and the class names into "
    "{folder}/classes.txt",
)
_CVAT_BACKUP = "CVAT JSON (a backup)", "export it from CVAT as COCO 1.0"
_DARWIN = "Darwin JSON", "export it from V7 as COCO"
_DETECTRON = "Detectron2 JSON", "convert it with detectron2.data.datasets.coco.convert_to_coco_json"
_HASTY = "Hasty JSON", "export it from Hasty (CloudFactory) as COCO"
_SCALE = "Scale AI JSON", "convert it to COCO: a box has left, top, width and height there"
_SUPERANNOTATE = "SuperAnnotate JSON", "export it from SuperAnnotate as COCO"
_RESULTS = (
    "a file of detections (COCO results)",
    "export it with images and categories, as labels have them (evaluate compares detections with labels)",
)
_ULTRALYTICS = "Ultralytics NDJSON", "export it as YOLO, with a data.yaml and label files"
_DLIB = "dlib XML", "convert it to COCO: a box has left, top, width and height there"
_AZURE = "Azure ML JSON", "convert it to COCO: topX, topY, bottomX and bottomY are fractions of the image"
_VERTEX = "Vertex AI JSON", "convert it to COCO: xMin, yMin, xMax and yMax are fractions of the image"
_ODVG = "ODVG JSON", "convert it to COCO: bbox has the corners x1, y1, x2, y2"
_DATALOOP = "Dataloop JSON", "export it from Dataloop as COCO or YOLO"
_CITYSCAPES = "Cityscapes JSON", "convert it to COCO, with polygon as segmentation: the box is the one around it"
_CROWDHUMAN = "CrowdHuman ODGT", "convert it to COCO: fbox, vbox and hbox have x, y, width and height"
_GEOJSON = "GeoJSON", "convert it to COCO, in pixels of the images"
_ICDAR = "ICDAR text", "convert it to YOLO: a class and the corners, as fractions of the image, in each line"
_NAMED_BOXES = (
    "text with a class name and four numbers in each line (OIDv4)",
    "convert it to YOLO: the number of the class, the center, width and height, as fractions of the image",
)
_VOC_WITHOUT_SUFFIX = "Pascal VOC XML without the suffix .xml", "rename the files"
_DATABASE = "a database or HDF5 file", "convert it to COCO, YOLO or Pascal VOC"
_SHEET = "a spreadsheet", "convert it to COCO, YOLO or Pascal VOC"
_MATLAB = "a MATLAB file", "convert it to COCO, YOLO or Pascal VOC"
_NUMPY = "a NumPy or pickle file", "convert it to COCO, YOLO or Pascal VOC"
_ARCHIVE = "an archive", "unpack it and give the folder"
_SUFFIXES = {
    **dict.fromkeys((".zip", ".tar", ".tgz", ".gz", ".7z", ".rar"), _ARCHIVE),
    ".parquet": _PARQUET, ".arrow": _ARROW, ".tfrecord": _TFRECORD, ".tfrecords": _TFRECORD, ".record": _TFRECORD,
    ".manifest": _MANIFEST, ".mat": _MATLAB, ".odgt": _CROWDHUMAN, ".geojson": _GEOJSON,
    **dict.fromkeys((".h5", ".hdf5", ".db", ".sqlite", ".sqlite3", ".mdb"), _DATABASE),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), _SHEET), **dict.fromkeys((".npy", ".npz", ".pkl", ".pickle"), _NUMPY),
}  # fmt: skip


_TEXTS = (".json", ".jsonl", ".ndjson", ".xml", ".csv", ".tsv")


def unknown(root: Path) -> Path | None:
    """The first file of a folder that can contain labels, whatever their form."""
    return next((file for file in islice(_files(root), _MOST) if file.suffix.lower() in _TEXTS), None)


def recognise(root: Path) -> tuple[str, str, Path] | None:
    """The name of the format of labels in a folder or file, a way to convert it, and the file that shows it."""
    archive = None
    for file in islice(_files(root), _MOST):
        try:
            found = _format(file)
        except (OSError, ValueError, RecursionError):
            continue
        if found is _ARCHIVE:
            archive = archive or (*_ARCHIVE, file)  # something else may say more
        elif found is not None:
            name, remedy = found
            folder = root if root.is_dir() else root.parent
            return name, remedy.format(folder=folder, here=file.parent), file
    return archive


def _files(root: Path) -> Iterator[Path]:
    """Label files of a folder, at most four folders deep, the upper ones first; images are left out."""
    if root.is_file():
        yield root
        return
    suffixes = (*_TEXTS, ".txt", "", *_SUFFIXES)
    for pattern in ("*", "*/*", "*/*/*", "*/*/*/*"):
        yield from (file for file in sorted(root.glob(pattern)) if file.suffix.lower() in suffixes and file.is_file())


def _format(file: Path) -> tuple[str, str] | None:
    suffix = file.suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    with file.open("rb") as opened:
        start = opened.read(_HEAD)
    head = decoded(start, errors="replace")
    if suffix in (".jsonl", ".ndjson"):
        if any(word in head for word in ("<loc", '"messages"')):  # PaliGemma, Florence; GPT
            return _LANGUAGE
        if '"class_names"' in head:
            return _ULTRALYTICS
        if '"topX"' in head:
            return _AZURE
        if '"boundingBoxAnnotations"' in head:
            return _VERTEX
        if '"detection"' in head and '"instances"' in head:
            return _ODVG
        return _LABELBOX if '"data_row"' in head else _MANIFEST if '"source-ref"' in head else None
    if suffix == ".xml":
        if "<annotations" in head and ("<image" in head or "<track" in head or "<meta" in head):
            return _CVAT
        if "<dataset" in head and "<images" in head:
            return _DLIB
        return _ROTATED if "<robndbox>" in head else _LABELME_XML if "<polygon>" in head and "<pt>" in head else None
    if suffix in (".csv", ".tsv"):
        if "region_shape_attributes" in head:
            return _VIA_CSV
        return _CSV if any(sign in head for sign in ",;\t") else None
    if suffix == "":
        return _VOC_WITHOUT_SUFFIX if "<annotation>" in head and "<bndbox>" in head else None
    if suffix == ".txt":
        return _text_format(file, head)
    return _json_format(file, head)


def _text_format(file: Path, head: str) -> tuple[str, str] | None:
    """By the first lines: VisDrone has eight whole numbers (some lines end in a comma), KITTI a word and 14 numbers,
    DOTA eight numbers, a word and a number, ICDAR eight numbers and a word; MOT and WIDER FACE are recognised by the
    names of their files too."""
    lines = [line.strip().rstrip(",") for line in lines_of(head)[:3] if line.strip()]
    commas, spaces = [line.split(",") for line in lines], [line.split() for line in lines]
    if not lines:
        return None
    if all(len(words) == 8 and all(w.strip("- ").isdecimal() for w in words) for words in commas):
        return _VISDRONE
    if all(len(words) >= 15 and not _number(words[0]) and all(map(_number, words[1:15])) for words in spaces):
        return _KITTI
    if lines[0].startswith(("imagesource:", "gsd:")) or all(
        len(words) == 10 and all(map(_number, words[:8])) and not _number(words[8]) for words in spaces
    ):
        return _DOTA
    if file.name in ("gt.txt", "det.txt") and all(len(words) >= 6 and all(map(_number, words)) for words in commas):
        return _MOT
    if file.name.endswith("_bbx_gt.txt"):
        return _WIDER
    boxes_of = [words[1:] for words in spaces]
    if any(boxes_of) and all(re.fullmatch(r"-?\d+(,-?\d+){4}", word) for words in boxes_of for word in words):
        return _KERAS
    if all(len(words) >= 9 and all(map(_number, words[:8])) and not _number(words[-1]) for words in commas):
        return _ICDAR
    if all(len(words) >= 5 and sum(map(_number, words)) >= 4 for words in commas):
        return _CSV
    if all(len(words) >= 5 and all(map(_number, words[-4:])) and not _number(words[0]) for words in spaces):
        return _NAMED_BOXES
    boxes = all(len(words) == 5 and all(map(_number, words)) for words in spaces)
    if boxes and all(words[0].isdecimal() and all(0 <= float(w) <= 1 for w in words[1:]) for words in spaces):
        return _YOLO
    return None


def _number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _json_format(file: Path, head: str) -> tuple[str, str] | None:
    if '"shapes"' in head and '"tracks"' in head:
        return _CVAT_BACKUP
    if any(word in head for word in ('"_via_img_metadata"', '"_via_settings"', '"aname"')):
        return _VIA
    if '"data_row"' in head or '"Labeled Data"' in head:
        return _LABELBOX
    if '"imgHeight"' in head and '"polygon"' in head:
        return _CITYSCAPES
    if '"bounding_box"' in head and ('"annotations"' in head or '"slots"' in head):
        return _DARWIN
    if '"bounding_box"' in head and '"labels"' in head:
        return _FIFTYONE
    if '"label_classes"' in head and '"class_name"' in head:
        return _HASTY
    if '"instances"' in head and '"className"' in head:
        return _SUPERANNOTATE
    if '"task_id"' in head and '"left"' in head:
        return _SCALE
    if head.lstrip().startswith("[") and '"bbox"' in head:
        if '"file_name"' in head:
            return _DETECTRON
        if '"score"' in head and '"image_id"' in head:
            return _RESULTS
    if '"shapes"' in head and ('"imagePath"' in head or '"points"' in head):
        return _LABELME
    if '"classTitle"' in head or ('"classes"' in head and '"tags"' in head):
        return _SUPERVISELY
    if '"regions"' in head and '"shape_attributes"' in head:
        return _VIA
    if '"annotations"' in head and '"coordinates"' in head:
        return _DATALOOP if '"filename"' in head else _CREATEML if '"image' in head else None
    if ('"categories"' in head and ('"label_type"' in head or '"label_id"' in head)) or '"dm_format_version"' in head:
        return _DATUMARO
    if '"_cls"' in head and ('"Detections"' in head or '"samples"' in head):
        return _FIFTYONE
    if '"boundingBox"' in head and '"regions"' in head:
        return _VOTT
    if ('"ann"' in head and '"bboxes"' in head) or ('"data_list"' in head and '"instances"' in head):
        return _MMDET
    if '"box2d"' in head:
        return _BDD
    if '"rectanglelabels"' in head:
        return _LABEL_STUDIO
    if '"imageData"' in head or '"imagePath"' in head:  # labelme may store the image before the shapes
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        return _LABELME if isinstance(content, dict) and "shapes" in content else None
    return None
