"""COCO files as the tools of the field write them: found, matched and read, or refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from condetr.examining.examine import examine
from tests.datasets.field import Cases, H, W, box, coco, image, outcome, write

CASES = Cases()
case = CASES.case


def images(folder: Path, names: Any = ("img0.png", "img1.png", "img2.png"), first: int = 0) -> Path:
    for i, name in enumerate(names, start=first):
        image(folder / name, i)
    return folder


def named(root: Path, names: list[str], on_disk: Any = ("img0.png", "img1.png", "img2.png"), **changed: Any) -> None:
    images(root / "images", on_disk)
    write(root / "result.json", coco(names, **changed))


THREE = "coco cat,dog train 3"
BARE = ["img0.png", "img1.png", "img2.png"]


@case(THREE)
def label_studio_local_files(root):
    named(root, [f"..\\..\\label-studio\\data\\local-files\\?d=birds\\img{i}.png" for i in range(3)])


@case(THREE)
def label_studio_local_files_encoded(root):
    named(root, [f"/data/local-files/?d=birds%2Fimg{i}.png" for i in range(3)])


@case(THREE)
def label_studio_prefix_that_the_disk_lacks(root):
    named(root, [f"images/{i}a9b2f1c-img{i}.png" for i in range(3)])


@case(THREE)
def label_studio_prefix_of_an_upload_that_the_labels_lack(root):
    named(root, BARE, [f"{i}a9b2f1c-img{i}.png" for i in range(3)])


@case(THREE)
def addresses_with_a_query(root):
    named(root, [f"https://bucket.s3.amazonaws.com/set/img%20{i}.png?X-Amz-Expires=60&X=/b" for i in range(3)],
          [f"img {i}.png" for i in range(3)])  # fmt: skip


@case(THREE)
def addresses_of_buckets(root):
    named(root, ["s3://b/set/img0.png", "gs://b/img1.png#x", "file:///C:/me/img2.png"])


@case(THREE)
def names_with_a_hash_and_a_question_mark_on_the_disk(root):
    names = ["a#1.png", "b?x=1.png", "c%20.png"]
    named(root, names, names)


@case(THREE)
def names_with_backslashes_on_the_disk(root):
    named(root, ["cam\\img0.png", "cam\\img1.png", "cam/img2.png"], ["cam\\img0.png", "cam/img1.png", "cam/img2.png"])


@case(THREE)
def names_without_a_suffix(root):
    named(root, ["img0", "images/img1", "img2"])


@case(THREE)
def names_with_another_suffix(root):
    named(root, ["img0.jpg", "img1.JPEG", "img2.bmp"])


@case(THREE)
def names_that_are_numbers(root):
    named(root, [0, 1, 2], ["0.png", "1.png", "2.png"])  # type: ignore[list-item]


@case(THREE)
def names_with_spaces_around(root):
    named(root, [" img0.png", "img1.png\n", "./img2.png"])


@case("coco cat,dog train 2 valid 1")
def cvat_subsets(root):
    images(root / "images" / "Train", BARE[:2])
    images(root / "images" / "Validation", BARE[:1], first=2)
    write(root / "annotations" / "instances_Train.json", coco(BARE[:2]))
    write(root / "annotations" / "instances_Validation.json", coco(BARE[:1], first=2))


@case(THREE)
def cvat_default_subset(root):
    images(root / "images" / "default")
    write(root / "annotations" / "instances_default.json", coco(BARE))


@case(THREE)
def fiftyone(root):
    images(root / "data")
    write(root / "labels.json", coco(BARE))


@case("coco cat,dog train 1 valid 1 test 1")
def split_files_beside_split_folders_in_capitals(root):
    for i, (split, folder) in enumerate((("Train", "TRAIN"), ("Val", "Val"), ("TEST", "test"))):
        images(root / folder, BARE[:1], first=i)
        write(root / f"{split}.json", coco(BARE[:1], first=i))


@case("coco cat,dog train 2 valid 1")
def suffixed_names_of_splits(root):
    images(root / "train_images", BARE[:2])
    images(root / "val_images", BARE[:1], first=2)
    write(root / "annotations_train.json", coco(BARE[:2]))
    write(root / "annotations_val.json", coco(BARE[:1], first=2))


@case("DataError: .*not a data set, but .*images is one. Give that folder")
def labels_inside_the_image_folder(root):
    images(root / "images")
    write(root / "images" / "annotations.json", coco(BARE))


@case("DataError: .*not a data set, but .*birds is one. Give that folder")
def a_folder_inside_its_zip(root):
    images(root / "birds" / "images")
    write(root / "birds" / "annotations.json", coco(BARE))


@case(THREE)
def names_with_their_folders(root):
    images(root / "images" / "train")
    write(root / "annotations" / "train.json", coco([f"train/{name}" for name in BARE]))


@case(THREE)
def names_with_the_data_sets_own_folder(root):
    named(root, [f"{root.name}/images/{name}" for name in BARE])


@case(THREE)
def images_of_many_cameras_below_one_folder(root):
    on_disk = ["day/cam0/img.png", "day/cam1/img.png", "night/cam0/img.png"]
    named(root, [f"D:\\rec\\{name.replace('/', chr(92))}" for name in on_disk], on_disk)


@case(THREE)
def bare_names_of_images_in_subfolders(root):
    named(root, BARE, ["a/img0.png", "a/b/img1.png", "c/img2.png"])


@case("coco cat,dog train 0 (and 2 wrong)", "missing_image", "nothing_to_learn")
def bare_names_that_two_subfolders_have(root):
    images(root / "images" / "a", ["img.png"])
    images(root / "images" / "b", ["img.png"], first=1)
    write(root / "result.json", coco(["img.png", "x/img.png"]))


@case(THREE)
def ids_as_strings(root):
    content = coco(BARE)
    for one in content["images"]:
        one["id"] = f"{one['id']}"
    for one in content["annotations"]:
        one |= {"image_id": f"{one['image_id']}", "category_id": str(one["category_id"]), "id": f"x{one['id']}"}
    for one in content["categories"]:
        one["id"] = str(one["id"])
    images(root / "images")
    write(root / "result.json", content)


@case("coco cat,dog train 3")
def categories_from_0_with_the_own_name_as_supercategory(root):
    content = coco(BARE)
    content["categories"] = [{"id": i, "name": n, "supercategory": n} for i, n in enumerate(("cat", "dog"))]
    for one in content["annotations"]:
        one["category_id"] -= 1
    images(root)
    write(root / "coco.json", content)


@case("coco cat,dog train 3")
def no_area_no_iscrowd_no_ids_of_annotations_and_no_sizes(root):
    content = coco(BARE)
    for one in content["annotations"]:
        for key in ("area", "iscrowd", "id"):
            del one[key]
    for one in content["images"]:
        del one["width"], one["height"]
    images(root / "images")
    write(root / "coco.json", content)


CASES["no area no iscrowd no ids of annotations and no sizes"][2].add("size_missing")


@case("coco cat,dog train 3", "size_missing")
def sizes_as_text_and_null(root):
    content = coco(BARE)
    content["images"][0] |= {"width": str(W), "height": f"{H}.0"}
    content["images"][1] |= {"width": None, "height": None}
    content["images"][2] |= {"width": 0, "height": -1}
    images(root / "images")
    write(root / "coco.json", content)


@case("coco cat,dog train 3")
def boxes_as_text_and_iscrowd_as_text(root):
    content = coco(BARE, iscrowd="0", area="120")
    for one in content["annotations"]:
        one["bbox"] = [f"{x}.0" for x in one["bbox"]]
    images(root / "images")
    write(root / "coco.json", content)


def mask(i: int) -> dict[str, Any]:
    x, y, w, h = box(i)
    runs = [x * H + y, *([h, H - h] * w)]
    runs[-1] = W * H - sum(runs[:-1])
    return {"size": [H, W], "counts": runs}


def polygon(i: int) -> list[list[float]]:
    x, y, w, h = box(i)
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


@case(THREE)
def images_that_were_converted(root):
    images(root / "images")
    write(root / "coco.json", coco([f"train/{name.replace('.png', '.JPG')}" for name in BARE]))


@case("coco cat,dog train 2 (and 1 wrong)", "missing_image")
def one_image_that_is_missing_is_not_replaced_by_a_mask(root):
    images(root / "images", BARE[:2])
    image(root / "masks" / f"{Path(BARE[2]).stem}.jpg", 2)
    write(root / "coco.json", coco(BARE))


@case(THREE)
def json_and_yaml_of_other_tools(root):
    images(root / "images")
    write(root / "coco.json", coco(BARE))
    write(root / "dataset.yaml", "name: birds\nlicense: mit\n")
    write(root / "counts.json", '{"images": 3}')


@case(THREE, "mask_boxes")
def masks_polygons_and_points_without_boxes(root):
    content = coco(BARE)
    shapes = [mask(0), polygon(1), [[[x, y] for x, y in zip(polygon(2)[0][0::2], polygon(2)[0][1::2])]]]
    for one, shape, no_box in zip(content["annotations"], shapes, (None, [], [0, 0, 0, 0])):
        one |= {"segmentation": shape, "bbox": no_box}
    images(root / "images")
    write(root / "coco.json", content)


@case(THREE, "mask_boxes")
def compressed_masks_without_boxes(root):
    from pycocotools import mask as coder

    content = coco(BARE)
    for i, one in enumerate(content["annotations"]):
        one["segmentation"] = {"size": [H, W], "counts": coder.frPyObjects(mask(i), H, W)["counts"].decode()}
        del one["bbox"]
    images(root / "images")
    write(root / "coco.json", content)


@case("coco cat,dog train 0 (and 1 wrong)", "malformed_entry", "no_objects", "empty_class", "nothing_to_learn")
def keypoints_without_boxes_are_reported(root):
    content = coco(BARE[:1], keypoints=[4, 6, 2, 16, 16, 2], num_keypoints=2)
    del content["annotations"][0]["bbox"]
    images(root / "images", BARE[:1])
    write(root / "coco.json", content)


@case("coco cat,dog train 3")
def keypoints_with_boxes(root):
    named(root, BARE, keypoints=[4, 6, 2, 16, 16, 2], num_keypoints=2)


@case(THREE)
def utf_8_with_a_mark(root):
    images(root / "images")
    write(root / "coco.json", coco(BARE), "utf-8-sig")


@case("coco 猫,dog train 3")
def utf_16(root):
    images(root / "images", ["ä0.png", "ä1.png", "ä2.png"])
    content = coco(["ä0.png", "a\u03081.png", "ä2.png"])
    content["categories"][0]["name"] = "猫"
    write(root / "coco.json", content, "utf-16")


@case("DataError: .*coco.json: invalid JSON: not UTF-8 text")
def gb2312(root):
    content = coco(BARE)
    content["categories"][0]["name"] = "狗"
    images(root / "images")
    write(root / "coco.json", content, "gb2312")


@case(THREE, "fraction_boxes")
def boxes_as_fractions(root):
    content = coco(BARE)
    for one in content["annotations"]:
        one["bbox"] = [v / side for v, side in zip(one["bbox"], (W, H, W, H))]
    images(root / "images")
    write(root / "coco.json", content)


@case("coco cat,dog train 1 (and 1 wrong)", "fraction_boxes")
def boxes_as_fractions_one_as_large_as_its_image(root):
    content = coco(BARE[:2])
    content["annotations"][0]["bbox"] = [4 / W, 6 / H, 12 / W, 10 / H]
    content["annotations"][1]["bbox"] = [0.0, 0.0, 1.0, 1.0]
    images(root / "images", BARE[:2])
    write(root / "coco.json", content)


@case("coco cat,dog train 0 (and 3 wrong)", "corner_boxes")
def boxes_as_corners(root):
    content = coco([f"{i}.png" for i in range(3)], first=0)
    for one in content["annotations"]:
        x, y, w, h = one["bbox"]
        one["bbox"] = [x, y, x + w, y + h]
    content["annotations"][2]["bbox"] = [14, 8, 60, 42]
    images(root / "images", ["0.png", "1.png", "2.png"])
    write(root / "coco.json", content)


@case("coco cat,dog train 2", "shared_file")
def two_entries_for_one_file_under_two_spellings(root):
    named(root, ["img0.png", "images/img0.png"], ["img0.png"])


CASES["two entries for one file under two spellings"] = (
    CASES["two entries for one file under two spellings"][0], "coco cat,dog train 1 (and 1 wrong)", {"shared_file"},
)  # fmt: skip


@case("DataError: .*two data sets in one folder: .*coco.json.* and .*Annotations")
def coco_beside_voc(root):
    from tests.datasets.field import voc

    named(root, BARE)
    (root / "result.json").rename(root / "coco.json")
    write(root / "Annotations" / "img0.xml", voc("img0.png", 0))
    images(root / "JPEGImages")


@case("DataError: .*two data sets in one folder: .*coco.json.* and .*classes.txt")
def coco_beside_yolo_without_yaml(root):
    from tests.datasets.field import line

    named(root, BARE)
    (root / "result.json").rename(root / "coco.json")
    write(root / "labels" / "img0.txt", line(0))
    write(root / "classes.txt", "cat\ndog\n")


@case("DataError: .*invalid JSON at line 1 column .*Is the file truncated")
def a_file_that_is_cut_short(root):
    images(root / "images")
    write(root / "coco.json", json.dumps(coco(BARE))[:-40])


@case(THREE)
def names_of_files_under_other_keys(root):
    """LVIS has addresses."""
    content = coco(BARE)
    for key, entry in zip(("coco_url", "filename", "coco_url"), content["images"]):
        entry[key] = f"http://images.cocodataset.org/train2017/{entry.pop('file_name')}"
    images(root / "train2017")
    write(root / "annotations" / "lvis_v1_train.json", content)


@case("DataError: .*not a data set, but .*birds/coco is one. Give that folder")
def a_data_set_two_folders_down(root):
    images(root / "birds" / "coco" / "images")
    write(root / "birds" / "coco" / "annotations" / "train.json", coco(BARE))


@case('DataError: .*no list \'categories\'. Add one .*{"id": 1, "name": "cat"}')
def no_categories(root):
    content = coco(BARE)
    del content["categories"]
    images(root / "images")
    write(root / "coco.json", content)


@case("DataError: .*which is train\\? Give one of the files, or rename")
def two_files_without_a_split(root):
    images(root / "images")
    write(root / "first.json", coco(BARE[:2]))
    write(root / "second.json", coco(BARE[2:], first=2))


def changed(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Three images with labels to which `change` was applied."""
    content = coco(BARE)
    change(content)
    images(root / "images")
    write(root / "coco.json", content)


def annotations(root: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    changed(root, lambda content: [one.update(change(one)) for one in content["annotations"]] and None)


@case("coco cat,dog train 2 valid 1 test 0 (and 1 wrong)")
def a_split_without_objects_and_classes(root):
    for i, (split, count) in enumerate((("train", 2), ("valid", 1), ("test", 1))):
        images(root / split, BARE[:count], first=2 * i - (i == 2))
        content = coco(BARE[:count], first=2 * i - (i == 2))
        if split == "test":
            del content["annotations"], content["categories"]
        write(root / split / "_annotations.coco.json", content)


@case(THREE)
def category_ids_as_text_with_a_point(root):
    annotations(root, lambda one: {"category_id": f"{one['category_id']}.0"})


@case(THREE)
def names_of_classes_instead_of_category_ids(root):
    annotations(root, lambda one: {"category_id": ("", "cat", "dog")[one["category_id"]]})


@case(THREE)
def names_of_images_instead_of_image_ids(root):
    annotations(root, lambda one: {"image_id": ("img0", "img1.png", "img2.png")[one["image_id"]]})


@case("coco cat,dog train 3")
def classes_with_a_supercategory_and_no_name(root):
    changed(root, lambda content: content["categories"][0].update(name=None, supercategory="cat"))


@case("DataError: .*coco.json: category 1 is 'cat' and 'bird'. Give every class its own id")
def an_id_of_two_classes(root):
    changed(root, lambda content: content["categories"].append({"id": 1, "name": "bird"}))


@case(THREE)
def boxes_as_the_text_of_a_list(root):
    annotations(root, lambda one: {"bbox": str(one["bbox"])})


@case(THREE)
def boxes_with_names_and_in_a_list_of_lists(root):
    keys = ("x", "y", "width", "height"), ("x", "y", "w", "h")
    annotations(root, lambda one: {"bbox": dict(zip(keys[one["id"]], one["bbox"])) if one["id"] < 2 else [one["bbox"]]})


@case("coco cat,dog train 0 (and 3 wrong)", "shifted_categories")
def categories_from_1_and_objects_from_0(root):
    annotations(root, lambda one: {"category_id": one["category_id"] - 1})


@case("coco Cat,cat train 3", "similar_names")
def names_that_differ_in_case(root):
    changed(root, lambda content: content.update(categories=[{"id": 1, "name": "Cat"}, {"id": 2, "name": "cat "}]))


@case("coco a,A train 3")
def letters_that_differ_in_case(root):
    changed(root, lambda content: content.update(categories=[{"id": 1, "name": "a"}, {"id": 2, "name": "A"}]))


@case("coco cat,dog train 3", "crowd_box")
def iscrowd_in_words(root):
    annotations(root, lambda one: {"iscrowd": ("false", "true", None)[one["id"]]})


@case(THREE)
def names_of_files_in_a_path_an_address_or_after_an_empty_name(root):
    def change(content: dict[str, Any]) -> None:
        for one, key in zip(content["images"], ("path", "flickr_url", "image_name")):
            one |= {key: f"/datasets/birds/{one['file_name']}", "file_name": ""}

    changed(root, change)


@case(THREE)
def names_with_plus_signs_and_entities(root):
    named(root, ["my+cat+0.png", "a&amp;1.png", "it&#39;s+2.png"], ["my cat 0.png", "a&1.png", "it's+2.png"])


@case("coco cat,dog train 2 valid 1")
def a_suffix_in_capitals(root):
    images(root / "train", BARE[:2])
    images(root / "val", BARE[:1], first=2)
    write(root / "annotations" / "Instances_train.JSON", coco(BARE[:2]))
    write(root / "annotations" / "Instances_val.JSON", coco(BARE[:1], first=2))


@case("coco cat,dog train 2 valid 1")
def a_split_with_another_name_beside_roboflows(root):
    images(root / "train", BARE[:2])
    images(root / "valid", BARE[:1], first=2)
    write(root / "train" / "_annotations.coco.json", coco(BARE[:2]))
    write(root / "valid" / "_annotations.json", coco(BARE[:1], first=2))


@case("coco cat,dog train 2 valid 1")
def one_file_for_the_folders_of_all_splits(root):
    images(root / "train", BARE[:2])
    images(root / "val", BARE[2:], first=2)
    write(root / "annotations.json", coco(["train/img0.png", "train\\img1.png", "val/img2.png"]))


@case("coco cat,dog train 2 test 1")
def one_file_whose_images_say_their_split(root):
    def change(content: dict[str, Any]) -> None:
        for one, split in zip(content["images"], ("train", "train", "test")):
            one["split"] = split

    changed(root, change)


@case("coco cat,dog train 2 valid 1")
def labels_in_a_folder_of_their_format(root):
    images(root / "images" / "train", BARE[:2])
    images(root / "images" / "val", BARE[:1], first=2)
    write(root / "annotations" / "coco" / "train.json", coco(BARE[:2]))
    write(root / "annotations" / "coco" / "val.json", coco(BARE[:1], first=2))


@case("DataError: .*Extra data\\)$")
def two_documents_in_one_file(root):
    images(root / "images")
    write(root / "coco.json", json.dumps(coco(BARE)) * 2)


@case("DataError: .*Hasty JSON is not read; export it")
def images_without_classes_of_another_format(root):
    images(root / "images")
    labels = [{"class_name": "cat", "bbox": [4, 6, 16, 16]}]
    write(root / "a.json", {"label_classes": [{"class_name": "cat"}], "images": [{"image_id": 1, "labels": labels}]})


@case("DataError: .*r.json: a file of detections .* is not read")
def detections_in_place_of_labels(root):
    return write(root / "r.json", [{"image_id": 0, "category_id": 1, "bbox": box(0), "score": 0.5}])


@case("coco cat,dog train 2 valid 1")
def trainval_beside_train(root):
    images(root / "images")
    for split, names, first in (("train", BARE[:2], 0), ("val", BARE[2:], 2), ("trainval", BARE, 0)):
        write(root / "annotations" / f"instances_{split}.json", coco(names, first=first))


@case("coco cat,dog train 2 valid 1")
def trainval_without_train(root):
    images(root / "images")
    write(root / "annotations" / "instances_trainval.json", coco(BARE[:2]))
    write(root / "annotations" / "instances_val.json", coco(BARE[2:], first=2))


@case(THREE)
def captions_and_panoptic_labels_beside_keypoints(root):
    images(root / "train2017")
    write(root / "annotations" / "person_keypoints_train2017.json", coco(BARE))
    for task in ("captions", "panoptic", "stuff"):
        write(root / "annotations" / f"{task}_train2017.json", coco(BARE, bbox=None))


@case("DataError: .*panoptic_train2017.json: COCO's panoptic labels are not read; give the instances")
def panoptic_labels(root):
    content = coco(BARE)
    content["annotations"] = [
        {"image_id": one["image_id"], "segments_info": [{"id": 1, "category_id": 1, "bbox": one["bbox"]}]}
        for one in content["annotations"]
    ]
    images(root / "train2017")
    write(root / "annotations" / "panoptic_train2017.json", content)


@case(THREE)
def boxes_with_names_of_corners(root):
    names = ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom")

    def corners(one: dict[str, Any]) -> dict[str, Any]:
        x, y, w, h = one["bbox"]
        return {"bbox": dict(zip(names[one["id"]], (x, y, x + w, y + h)))}

    annotations(root, corners)


@case('DataError: .*categories.0. needs an integer id, .*{"id": 1, "name": "cat"}')
def classes_as_a_list_of_names(root):
    changed(root, lambda content: content.update(categories=["cat", "dog"]))


@case("DataError: .*not a data set, but 2 of its folders are: .*day, .*night. Give one of them, or unite them")
def several_data_sets_in_one_folder(root):
    for folder in ("day", "night"):
        images(root / folder / "images")
        write(root / folder / "annotations" / "instances.json", coco(BARE))


def read_as(root: Path, form: Callable[[float, float, float, float], Any], count: int = 3, **more: Any) -> Any:
    """What is read of images whose boxes are written in another form, and the names of the findings."""
    names = [image(root / "images" / f"img{i}.png", i).name for i in range(count)]
    content = coco(names, **more)
    for one in content["annotations"]:
        one["bbox"] = form(*one["bbox"])
    return outcome(write(root / "train.json", content))


@pytest.mark.parametrize(
    "form",
    [
        lambda x, y, w, h: [f"{side},0" for side in (x, y, w, h)],
        lambda x, y, w, h: {"X": x, "Y": y, "Width": w, "Height": h},
        lambda x, y, w, h: {"xMin": x, "yMin": y, "xMax": x + w, "yMax": y + h},
        lambda x, y, w, h: {"x_min": x, "y_min": y, "x_max": x + w, "y_max": y + h},
    ],
)
def test_boxes_are_read_in_other_forms(form: Callable[..., Any], tmp_path: Path) -> None:
    assert read_as(tmp_path, form) == ("coco cat,dog train 3", set())


def test_the_mode_of_detectron2s_boxes_is_obeyed(tmp_path: Path) -> None:
    read = read_as(tmp_path, lambda x, y, w, h: [x, y, x + w, y + h], bbox_mode=0)
    assert read == ("coco cat,dog train 3", set())


def test_corners_inside_the_image_are_recognised_by_their_areas(tmp_path: Path) -> None:
    assert "corner_boxes" in read_as(tmp_path, lambda x, y, w, h: [x, y, x + w, y + h])[1]


@pytest.mark.parametrize("area", [120, 90, 0])  # of the box, of a polygon, none
def test_the_areas_of_sound_boxes_are_no_sign_of_corners(area: int, tmp_path: Path) -> None:
    assert read_as(tmp_path, lambda *box: list(box), area=area) == ("coco cat,dog train 3", set())


def test_boxes_around_their_center_are_reported(tmp_path: Path) -> None:
    assert "corner_boxes" in read_as(tmp_path, lambda x, y, w, h: [x + w / 2, y + 14, w, 28], 10)[1]


def test_fractions_that_are_corners_are_read(tmp_path: Path) -> None:
    read = read_as(tmp_path, lambda x, y, w, h: [x / W, y / H, (x + w) / W, (y + h) / H], 8)
    assert read == ("coco cat,dog train 8", {"fraction_boxes"})


@pytest.mark.parametrize(("part", "size", "found"), [(100, 200, True), (1000, 1600, True), (100, 128, False)])
def test_boxes_in_percent_or_thousandths_are_reported(part: int, size: int, found: bool, tmp_path: Path) -> None:
    names = [image(tmp_path / "images" / f"img{i}.png", i, (size, size)).name for i in range(12)]
    content = coco(names)
    for i, (entry, one) in enumerate(zip(content["images"], content["annotations"])):
        entry["width"] = entry["height"] = size
        one["bbox"] = [part * i / 20, part * i / 20, part * 0.4, part * 0.4]
        one["area"] = (part * 0.4) ** 2
    assert ("scaled_boxes" in outcome(write(tmp_path / "train.json", content))[1]) == found


@pytest.mark.parametrize(
    "segmentation",
    ["[[4, 6, 16, 6, 16, 16]]", [[{"x": 4, "y": 6}, {"x": 16, "y": 6}, {"x": 16, "y": 16}]],
     [{"size": [2, 3], "counts": [1, 4, 1]}]],
)  # fmt: skip
@pytest.mark.parametrize("bbox", ["", ["0", "0", "0", "0"], [-1, -1, -1, -1], [0.0, 0.0, 0.0, 0.0]])
def test_segmentations_of_other_programs(segmentation: Any, bbox: Any, tmp_path: Path) -> None:
    name = image(tmp_path / "img0.png", 0).name
    content = coco([name], segmentation=segmentation)
    content["annotations"][0]["bbox"] = bbox
    (sample,) = examine(write(tmp_path / "train.json", content)).dataset.splits["train"]
    expected = [0, 0, 3, 2] if "counts" in str(segmentation) else [4, 6, 16, 16]
    assert sample.truth.boxes.tolist() == [expected]


@pytest.mark.parametrize(("entries", "key"), [("annotations", "image_id"), ("images", "id")])
def test_ids_with_a_point_are_numbers(entries: str, key: str, tmp_path: Path) -> None:
    content = coco([image(tmp_path / f"img{i}.png", i).name for i in range(3)])
    for one in content[entries]:
        one[key] = f"{one[key]}.0"
    assert outcome(write(tmp_path / "train.json", content))[0] == "coco cat,dog train 3"


@pytest.mark.parametrize("name", CASES)
def test_coco_files_of_the_field(name: str, tmp_path: Path) -> None:
    CASES.check(name, tmp_path, unexpected={"malformed_entry", "missing_image", "shared_file"})
