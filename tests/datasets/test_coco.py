"""COCO JSON: labels and category ids in every layout in use, and where its images are found."""

import json
import unicodedata

import numpy as np
import pytest

from condetr.datasets.open import open_dataset
from condetr.errors import DataError
from condetr.examining.examine import examine
from tests.labelled import HEIGHT, WIDTH, coco_content, write_image


def labels(root, split="train"):
    data = examine(open_dataset(root)).dataset
    return data.categories, [sample.truth.labels.tolist() for sample in data.split(split).samples]


@pytest.mark.parametrize("ids", [(0, 1), (1, 2), (7, 90)], ids=["0-based", "1-based", "sparse"])
def test_a_label_is_an_index_and_the_category_id_is_kept(roboflow, ids):
    categories, found = labels(roboflow(train=coco_content(1, categories=ids)))
    assert categories.ids == ids
    assert categories.names == tuple(f"class {id}" for id in ids)
    assert found == [[0, 1], [0, 1]]


def test_categories_are_in_the_order_of_their_ids_not_of_the_file(roboflow):
    content = coco_content(1)
    content["categories"].reverse()
    categories, found = labels(roboflow(train=content))
    assert categories.ids == (1, 2)
    assert found[0] == [0, 1]


def test_roboflows_root_category_is_not_a_class(roboflow):
    content = coco_content(1)
    for category in content["categories"]:
        category["supercategory"] = "things"
    content["categories"].insert(0, {"id": 0, "name": "things", "supercategory": "none"})
    categories, found = labels(roboflow(train=content))
    assert categories.ids == (1, 2)
    assert found[0] == [0, 1]


def test_a_root_category_with_objects_in_any_split_is_a_class(roboflow):
    train, valid = coco_content(1), coco_content(10)
    for content in (train, valid):
        content["categories"][0]["supercategory"] = "things"
        content["categories"].insert(0, {"id": 0, "name": "things", "supercategory": "none"})
    valid["annotations"][0]["category_id"] = 0
    assert labels(roboflow(train=train, valid=valid))[0].ids == (0, 1, 2)


def test_category_0_without_objects_is_a_class_unless_it_groups_others(roboflow):
    content = coco_content(1)
    content["categories"].insert(0, {"id": 0, "name": "rare", "supercategory": "none"})
    assert labels(roboflow(train=content))[0].ids == (0, 1, 2)


def test_splits_can_list_classes_in_another_order_or_omit_some(roboflow):
    train, valid = coco_content(1, categories=(1, 2, 5), boxes=3), coco_content(10, categories=(5, 1))
    root = roboflow(train=train, valid=valid)
    categories, found = labels(root, "valid")
    assert categories.ids == (1, 2, 5)
    assert found[0] == [2, 0]


def test_the_same_id_with_two_names_is_refused(roboflow):
    valid = coco_content(10)
    valid["categories"][0]["name"] = "other"
    with pytest.raises(DataError, match=r"category 1 is 'class 1' in .* and 'other' in"):
        open_dataset(roboflow(train=coco_content(1), valid=valid))


def test_the_same_name_with_two_ids_over_splits_is_refused(roboflow):
    valid = coco_content(10, categories=(1, 3))
    valid["categories"][1]["name"] = "class 2"
    with pytest.raises(DataError, match="'class 2' is category 2"):
        open_dataset(roboflow(train=coco_content(1), valid=valid))


def test_boxes_become_xyxy_and_areas_are_those_of_the_file(roboflow):
    truth = examine(open_dataset(roboflow(train=coco_content(1)))).dataset.split("train").samples[0].truth
    assert truth.boxes.tolist() == [[4, 5, 12, 11], [13, 5, 21, 11]]
    assert truth.areas.tolist() == [40, 40]
    assert truth.size == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("labels_at", "images_at"),
    [
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_train2017.json", "images/train2017"),
        ("annotations/train.json", "images"),
        ("train.json", "images/train"),
        ("labels.json", "data"),
        ("instances_default.json", "."),
        ("labels/train.json", "data"),
        ("Annotations/train.json", "images/train"),
        ("annotations/train/instances.json", "images/train"),
        ("annotations/train2017/a.json", "train2017"),
        ("train/annotations/instances.json", "train/images"),
        ("train/labels/a.json", "train"),
    ],
)
def test_layouts_in_use(tmp_path, labels_at, images_at):
    content = coco_content(1)
    for i in (1, 2):
        write_image(tmp_path / images_at / f"{i}.png", i)
    (tmp_path / labels_at).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / labels_at).write_text(json.dumps(content))
    for given in (tmp_path, tmp_path / labels_at):
        raw = open_dataset(given)
        assert (raw.format, [split.name for split in raw.splits]) == ("coco", ["train"])
        assert all(path.is_file() for path in raw.splits[0].images.paths)


@pytest.mark.parametrize("labels_at", ["annotations/{}/instances.json", "{}/annotations/instances.json"])
def test_a_folder_of_annotations_for_each_split(tmp_path, labels_at):
    images_at = "images/{}" if labels_at.startswith("annotations") else "{}/images"
    for first, split in ((1, "train"), (11, "val")):
        for id in (first, first + 1):
            write_image(tmp_path / images_at.format(split) / f"{id}.png", id)
        file = tmp_path / labels_at.format(split)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(coco_content(first)))
    diagnosis = examine(open_dataset(tmp_path))
    assert diagnosis.findings == ()
    assert [len(diagnosis.dataset.split(name).samples) for name in ("train", "valid")] == [2, 2]
    valid = open_dataset(tmp_path / labels_at.format("val"))
    assert [split.name for split in valid.splits] == ["valid"]
    assert not valid.splits[0].images.outside.any()


def test_captions_and_keypoints_beside_the_instances_are_ignored(tmp_path):
    (tmp_path / "annotations").mkdir()
    for name in ("instances_train2017", "instances_val2017", "captions_train2017", "person_keypoints_val2017"):
        (tmp_path / "annotations" / f"{name}.json").write_text(json.dumps(coco_content(1)))
    assert [(split.name, split.labels.stem) for split in open_dataset(tmp_path).splits] == [
        ("train", "instances_train2017"),
        ("valid", "instances_val2017"),
    ]


def test_paths_of_another_machine_are_found_by_their_file_names(roboflow):
    content = coco_content(1)
    root = roboflow(train=content)
    content["images"][0]["file_name"] = "C:\\Users\\me\\images\\1.png"
    content["images"][1]["file_name"] = "C:\\Users\\me\\images\\2.png"
    (root / "train" / "_annotations.coco.json").write_text(json.dumps(content))
    assert all(path.is_file() for path in open_dataset(root).splits[0].images.paths)


def test_text_ids_are_replaced_by_numbers(roboflow):
    content = coco_content(1)
    for image in content["images"]:
        image["id"] = f"image {image['id']}"
    for annotation in content["annotations"]:
        annotation["image_id"] = f"image {annotation['image_id']}"
    split = open_dataset(roboflow(train=content)).splits[0]
    assert split.images.ids.tolist() == [1, 2]
    assert split.objects.image.tolist() == [0, 0, 1, 1]


def test_missing_area_and_crowd_are_filled_in(roboflow):
    content = coco_content(1)
    for annotation in content["annotations"]:
        del annotation["area"], annotation["iscrowd"]
    truth = examine(open_dataset(roboflow(train=content))).dataset.split("train").samples[0].truth
    assert np.allclose(truth.areas, 48)
    assert not truth.crowd.any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"images": [', "line 1 column"),
        ("[1, 2]", "no list 'images'"),
        ('{"images": [], "annotations": []}', "no list 'categories'"),
        ('{"images": {}, "annotations": [], "categories": [{"id": 1, "name": "a"}]}', "'images' is not a list"),
        ('{"images": [], "categories": [{"id": "x", "name": "a"}]}', "categories\\[0\\]"),
        ("[" * 100_000, "invalid JSON"),
        ('{"images": [], "x": ' + "9" * 5000 + "}", "invalid JSON"),
    ],
)
def test_an_invalid_file_is_a_one_line_error(tmp_path, text, expected):
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(DataError, match=expected) as caught:
        open_dataset(tmp_path / "labels.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("where", ["train", "images"])
@pytest.mark.parametrize("disk", ["PIC_1.JPG", "Caf\u00e9_1.jpg"])
def test_names_are_found_in_the_spelling_of_the_disk(tmp_path, where, disk):
    """Windows treats A.JPG as a.jpg, and macOS writes an accent as a separate character."""
    written = unicodedata.normalize("NFD", disk.lower().replace("caf", "Caf"))
    content = coco_content(1, images=1)
    content["images"][0]["file_name"] = written
    write_image(tmp_path / where / disk, 1)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "train.json").write_text(json.dumps(content))
    diagnosis = examine(open_dataset(tmp_path))
    assert diagnosis.findings == ()
    assert [sample.path.name for sample in diagnosis.dataset.split("train")] == [disk]


def test_an_exact_name_takes_precedence_over_another_spelling(roboflow):
    content = coco_content(1)
    content["images"][0]["file_name"], content["images"][1]["file_name"] = "a.png", "A.png"
    assert [p.name for p in open_dataset(roboflow(train=content)).splits[0].images.paths] == ["a.png", "A.png"]


@pytest.mark.parametrize(
    ("names", "disk"),
    [
        (["/home/me/birds/images/1.png", "/home/me/birds/images/2.png"], ["images/1.png", "images/2.png"]),
        (["/home/me/images/cam0/1.png", "/home/me/images/cam1/1.png"], ["images/cam0/1.png", "images/cam1/1.png"]),
        (["..\\..\\media\\4\\a-1.png", "..\\..\\media\\4\\a-2.png"], ["images/a-1.png", "images/a-2.png"]),
        (["1.png", "..\\label\\2.png"], ["images/1.png", "images/2.png"]),
        (["images/my%20cat.png", "images/100%.png"], ["images/my cat.png", "images/100%.png"]),
        (["file:///data/local-files/1.png", "https://host/bucket/2.png"], ["images/1.png", "images/2.png"]),
        (["1.png", "2.png"], ["train/images/1.png", "train/images/2.png"]),
    ],
    ids=["absolute", "absolute with folders", "Label Studio", "some foreign", "percent", "URLs", "split/images"],
)  # fmt: skip
def test_file_names_of_other_machines_and_tools_are_found(tmp_path, names, disk):
    content = coco_content(1)
    for i in (0, 1):
        content["images"][i]["file_name"] = names[i]
        write_image(tmp_path / disk[i], i)
    (tmp_path / "train.json").write_text(json.dumps(content))
    (split,) = open_dataset(tmp_path).splits
    assert [path.relative_to(tmp_path).as_posix() for path in split.images.paths] == disk
    assert examine(tmp_path).findings == ()


def test_an_area_that_is_not_a_number_is_computed_from_the_box(roboflow):
    content = coco_content(1)
    content["annotations"][0]["area"] = ""
    truth = examine(roboflow(train=content)).dataset.split("train").samples[0].truth
    assert truth.areas.tolist() == [48, 40]


def test_two_images_with_one_file_are_an_error(roboflow):
    """Frames of two videos are exported under the same names."""
    content = coco_content(1)
    content["images"][1]["file_name"] = "1.png"
    findings = examine(roboflow(train=content)).findings
    assert [(f.name, f.file.name, f.id, f.defect.severity) for f in findings] == [("shared_file", "1.png", 2, "error")]


def test_boxes_in_fractions_of_the_image_are_an_error_and_scaled(roboflow):
    content = coco_content(1)
    for annotation in content["annotations"]:
        annotation["bbox"] = [value / 64 for value in annotation["bbox"]]
        annotation["area"] = 0.02
    diagnosis = examine(roboflow(train=content))
    (finding,) = [finding for finding in diagnosis.findings if finding.name == "fraction_boxes"]
    assert finding.detail == "4 boxes, all between 0 and 1"
    assert diagnosis.summary == "ready to train; 1 error handled as listed"
    truth = diagnosis.dataset.split("train").samples[0].truth
    np.testing.assert_allclose(truth.boxes[0], [4, 5 * 0.75, 12, 11 * 0.75])
    np.testing.assert_allclose(truth.areas[0], 8 * 6 * 0.75)
