"""A format that is recognised and not read is named, with a way to convert it."""

import json

import pytest

from condetr.datasets.open import open_dataset
from condetr.errors import DataError
from tests.datasets.field import voc, write
from tests.labelled import write_image

LABELS = {
    "labelme": ("a.json", {"imageData": None, "shapes": [{"label": "cat", "points": [[1, 2], [3, 4]]}]}),
    "labelme JSON": ("a.json", {"imagePath": "a.png", "imageData": "A" * 5000, "shapes": []}),
    "CreateML": (
        "_annotations.createml.json",
        [{"image": "a.png", "annotations": [{"label": "cat", "coordinates": {"x": 1, "y": 2, "width": 3}}]}],
    ),
    "Supervisely": ("meta.json", {"classes": [{"title": "cat", "shape": "rectangle"}], "tags": []}),
    "VGG Image Annotator": ("via.json", {"a": {"regions": [{"shape_attributes": {"name": "rect"}}]}}),
    "Label Studio": ("export.json", [{"annotations": [{"result": [{"value": {"rectanglelabels": ["cat"]}}]}]}]),
    "CVAT XML": ("annotations.xml", "<annotations><version>1.1</version><image id='0'></image></annotations>"),
    "CSV": ("train/_annotations.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,64,48,cat,1,2,3,4\n"),
    "VisDrone": ("annotations/a.txt", "684,8,273,116,0,0,0,0\n406,119,265,70,0,0,0,0,\n"),
    "KITTI": ("label_2/000000.txt", "Car 0.00 0 -1.58 4.0 6.0 16.0 16.0 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n"),
    "WIDER FACE": ("wider_face_split/wider_face_train_bbx_gt.txt", "0--P/0.jpg\n1\n4 6 12 10 0 0 0 0 0 0\n"),
    "MOT": ("gt/gt.txt", "1,1,4,6,12,10,1,1,1.0\n"),
    "DOTA": ("labelTxt/a.txt", "imagesource:GoogleEarth\ngsd:0.1\n1 2 3 2 3 4 1 4 plane 0\n"),
    "DOTA text": ("labelTxt/a.txt", "1.0 2 3 2 3 4 1 4 plane 0\n"),
    "Labelbox": ("export.ndjson", {"data_row": {"id": "a"}}),
    "SageMaker": ("output.manifest", '{"source-ref": "s3://b/a.png"}'),
    "Datumaro": ("annotations/train.json", {"dm_format_version": "1.0", "categories": {}, "items": []}),
    "FiftyOne": ("samples.json", {"samples": [{"filepath": "a", "ground_truth": {"_cls": "Detections"}}]}),
    "BDD100K": ("labels.json", [{"name": "a.jpg", "labels": [{"category": "car", "box2d": {"x1": 1}}]}]),
    "TFRecord": ("birds.tfrecord", "x"),
    "Arrow": ("train/data-00000-of-00001.arrow", "x"),
    "VoTT": ("x-export.json", {"assets": {"1": {"regions": [{"tags": ["cat"], "boundingBox": {"left": 1}}]}}}),
    "Keras YOLO": ("train/_annotations.txt", "a.png 4,6,16,16,0 9,7,21,17,1\nb.png\n"),
    "language models": ("_annotations.train.jsonl", {"image": "a.png", "suffix": "<loc0128><loc0064> cat"}),
    "LabelMe XML": ("Annotations/a.xml", "<annotation><polygon><pt><x>4</x></pt></polygon></annotation>"),
    "rotated boxes": ("a.xml", "<annotation><object><robndbox><cx>4</cx></robndbox></object></annotation>"),
    "MMDetection": ("train.json", [{"filename": "a.png", "ann": {"bboxes": [[4, 6, 16, 16]], "labels": [0]}}]),
    "YOLO text": ("annotations/a.txt", "0 0.5 0.5 0.25 0.25\n"),
    "archive": ("birds.zip", "PK"),
    "Darwin": ("a.json", {"item": {"name": "a.png", "slots": []}, "annotations": [{"bounding_box": {"h": 1}}]}),
    "Darwin JSON": ("a.json", {"image": {"filename": "a.png"}, "annotations": [{"bounding_box": {"h": 1}}]}),
    "Labelbox JSON": ("export.json", [{"data_row": {"id": "a"}, "projects": {}}]),
    "Labelbox JSON ": ("export.json", [{"ID": "a", "Labeled Data": "a.png", "Label": {"objects": []}}]),
    "CVAT JSON": ("annotations.json", [{"shapes": [{"type": "rectangle", "points": [1, 2]}], "tracks": []}]),
    "VGG Image Annotator JSON": ("via.json", {"_via_settings": {"ui": "x" * 5000}, "_via_img_metadata": {}}),
    "VGG Image Annotator JSON ": ("via3.json", {"attribute": {"1": {"aname": "class"}}, "metadata": {}}),
    "Label Studio JSON": ("export.json", [{"file_upload": "x" * 5000, "annotations": [{"rectanglelabels": ["cat"]}]}]),
    "Scale AI": ("tasks.json", [{"task_id": "a", "response": {"annotations": [{"label": "cat", "left": 1}]}}]),
    "SuperAnnotate": ("a.png___objects.json", {"metadata": {}, "instances": [{"className": "cat"}]}),
    "Detectron2": ("train.json", [{"file_name": "a.png", "annotations": [{"bbox": [1, 2, 3, 4], "bbox_mode": 1}]}]),
    "detections": ("r.json", [{"image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]),
    "Ultralytics": ("d.ndjson", {"type": "dataset", "class_names": {"0": "cat"}}),
    "dlib": ("train.xml", "<dataset><images><image file='a.png'/></images></dataset>"),
    "CSV ": ("gt.csv", "Filename;Annotation tag;x;y\na.png;cat;1;2\n"),
    "CSV  ": ("gt.tsv", "filename\tclass\txmin\na.png\tcat\t1\n"),
    "spreadsheet": ("labels.xlsx", "PK"),
    "MATLAB": ("gt.mat", "MATLAB 5.0 MAT-file"),
    "NumPy": ("gt.npz", "PK"),
    "CrowdHuman": ("annotation_train.odgt", {"ID": "a", "gtboxes": [{"tag": "person", "fbox": [1, 2, 3, 4]}]}),
    "Azure ML": ("train.jsonl", {"image_url": "AmlDatastore://a.png", "label": [{"label": "cat", "topX": 0.1}]}),
    "Vertex AI": ("d.jsonl", {"imageGcsUri": "gs://b/a.png", "boundingBoxAnnotations": [{"displayName": "cat"}]}),
    "ODVG": ("od.jsonl", {"filename": "a.png", "detection": {"instances": [{"bbox": [1, 2, 3, 4], "label": 0}]}}),
    "MMDetection ": ("a.json", {"metainfo": {}, "data_list": [{"img_path": "a.png", "instances": [{"bbox": [1]}]}]}),
    "FiftyOne ": ("labels.json", {"classes": ["cat"], "labels": {"a": [{"label": 0, "bounding_box": [0.1]}]}}),
    "Datumaro ": (
        "annotations/default.json",
        {"categories": {"label": {"labels": [{"name": "cat"}]}}, "items": [{"annotations": [{"label_id": 0}]}]},
    ),
    "Dataloop": ("a.json", {"filename": "/a.png", "annotations": [{"label": "cat", "coordinates": [{"x": 1}]}]}),
    "Cityscapes": ("a_polygons.json", {"imgHeight": 48, "objects": [{"label": "car", "polygon": [[1, 2]]}]}),
    "GeoJSON": ("labels.geojson", {"type": "FeatureCollection", "features": []}),
    "VGG Image Annotator CSV": ("via.csv", "filename,region_count,region_shape_attributes\na.png,1,{}\n"),
    "CSV   ": ("labels.txt", "a.png,4,6,16,16,cat\nb.png,9,7,21,17,dog\n"),
    "ICDAR": ("gt_a.txt", "4,6,16,6,16,16,4,16,hello\n4,6,16,6,16,16,4,16,good, bye\n"),
    "OIDv4": ("train/Apple/Label/a.txt", "Apple 4.0 6.0 16.0 16.0\nGreen apple 9 7 21 17\n"),
    "HDF5": ("labels.h5", "HDF"),
    "Parquet": ("data/train-00000-of-00001.parquet", "PAR1"),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELS)
def test_the_format_is_named_with_its_file(tmp_path, name):
    place, content = LABELS[name]
    file = tmp_path / place
    write_image(file.parent / "a.png", 1)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError, match=f"{name.strip()}.*is not read.*(convert|export|put|unpack) it") as error:
        open_dataset(tmp_path)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (
            ("cat/a.png", "dog/b.png"),
            "images in the folders cat, dog, as for classification, without boxes. Looked for",
        ),
        (
            ("train/cat/a.png", "val/dog/b.png"),
            "images in the folders cat, dog, as for classification, without boxes. Looked for",
        ),
        (
            ("train/a.png", "val/b.png"),
            "images without boxes. .* Draw boxes with .* CVAT or Label Studio, which export these",
        ),
        (("config.json", "model.safetensors", "a.png"), "a folder of weights, not a data set"),
        (("runs/x/config.json", "runs/x/journal.jsonl", "runs/x/a.csv"), "not a data set: .*runs/x is a run's folder"),
    ],
)
def test_folders_without_labels_are_described(tmp_path, files, reason):
    for i, name in enumerate(files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / name, i) if name.endswith(".png") else (tmp_path / name).write_text("a,b")
    with pytest.raises(DataError, match=f"^{tmp_path}: (no data set recognised: )?{reason}"):
        open_dataset(tmp_path)


def test_labels_of_an_unknown_form_are_named(tmp_path):
    write_image(tmp_path / "a.png", 1)
    (tmp_path / "a.json").write_text("{'images': ['a.png']}")
    with pytest.raises(
        DataError, match=r"no data set recognised: the form of .*a\.json is not known\. Looked for .*Export"
    ):
        open_dataset(tmp_path)


def test_a_file_of_another_format_is_named(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"data_row": {"id": "a"}}]))
    with pytest.raises(DataError, match="Labelbox JSON is not read"):
        open_dataset(tmp_path / "a.json")


def test_xml_without_its_suffix_is_named(tmp_path):
    """The Stanford Dogs' labels."""
    write_image(tmp_path / "Images" / "n1" / "a.png", 1)
    file = write(tmp_path / "Annotation" / "n1" / "a", voc("%s", 1))
    with pytest.raises(
        DataError, match=f"^{file}: Pascal VOC XML without the suffix .xml is not read; rename the files"
    ):
        open_dataset(tmp_path)


@pytest.mark.parametrize("text", ["nothing, here", "Version 1, of 2, May 3, 2024, 5\n", "see 1 2 3 4\nand more\n"])
def test_images_alone_are_no_format(tmp_path, text):
    write_image(tmp_path / "a.png", 1)
    (tmp_path / "notes.txt").write_text(text)
    (tmp_path / "README").write_text(text)
    with pytest.raises(DataError, match=r"no data set recognised: images without boxes\. Looked for"):
        open_dataset(tmp_path)


def test_the_way_out_names_the_folder(tmp_path):
    write_image(tmp_path / "birds" / "a.png", 1)
    (tmp_path / "birds" / "annotations.xml").write_text(
        "<annotations><version>1.1</version><image id='0'/></annotations>"
    )
    birds = tmp_path / "birds"
    with pytest.raises(DataError, match=f"datum convert -i {birds} -if cvat -f coco -o {birds}-coco -- --save-media"):
        open_dataset(birds)
