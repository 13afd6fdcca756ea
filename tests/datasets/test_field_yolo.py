"""YOLO folders as the tools of the field write them: found, matched and read, or refused by name."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from condetr.examining.examine import examine
from tests.datasets.field import Cases, H, W, box, image, line, outcome, write

CASES = Cases()
case = CASES.case


def pairs(images: Path, labels: Path, count: int = 2, first: int = 0, name: str = "img{}") -> None:
    for i in range(first, first + count):
        image(images / f"{name.format(i)}.png", i)
        write(labels / f"{name.format(i)}.txt", line(i))


def splits(root: Path) -> Path:
    """images/train and images/val with their labels."""
    pairs(root / "images" / "train", root / "labels" / "train")
    pairs(root / "images" / "val", root / "labels" / "val", 1, 2)
    return root


def yaml(root: Path, text: str, name: str = "data.yaml", names: str = "[cat, dog]") -> None:
    write(root / name, f"names: {names}\n{text}" if names else text)


BOTH = "yolo cat,dog train 2 valid 1"
TWO = "yolo cat,dog train 2"


@case(BOTH)
def ultralytics_with_a_path_that_is_not_here(root):
    yaml(splits(root), "path: ../datasets/coco8\ntrain: images/train\nval: images/val\ntest:\n")


@case(BOTH)
def ultralytics_with_an_absolute_path_of_windows(root):
    yaml(splits(root), "path: 'C:\\Users\\me\\set'\ntrain: images\\train\nval: images\\val\nnc: 2\n")


@case(BOTH)
def absolute_paths_of_colab(root):
    yaml(splits(root), "train: /content/drive/My Drive/set/images/train\nval: /content/set/images/val/\n")


@case(BOTH)
def names_by_number_with_quotes(root):
    yaml(splits(root), "train: images/train\nval: images/val\nnames:\n  '0': cat\n  '1': \"dog\"\n", names="")


@case("yolo 001,no train 2 valid 1")
def names_that_yaml_would_change(root):
    yaml(splits(root), "train: images/train\nval: images/val\n", names="[001, no]")


@case("yolo 12:30,null train 2 valid 1")
def names_of_a_time_and_null(root):
    yaml(splits(root), "Train: images/train\nVALID: images/val\n", names="{0: 12:30, 1: null}")


@case("yolo 1e3,0x10 train 2 valid 1")
def names_of_numbers(root):
    yaml(splits(root), "train: images/train\nvalidation: images/val\n", names="[1e3, 0x10]")


@case(BOTH)
def lists_of_folders(root):
    pairs(root / "a" / "images", root / "a" / "labels", 1)
    pairs(root / "b" / "images", root / "b" / "labels", 1, 1)
    pairs(root / "c" / "images", root / "c" / "labels", 1, 2)
    yaml(root, "train:\n  - a/images\n  - ./b/images/\nval: [c/images]\n")


@case(BOTH)
def text_lists_of_many_forms(root):
    splits(root)
    write(root / "train.txt", "./images/train/img0.png\r\n/home/me/set/images/train/img1.png\r\n\r\n")
    write(root / "val.txt", "D:\\set\\images\\val\\img2.png\n", "utf-8-sig")
    yaml(root, "train: train.txt\nval: ./val.txt\n")


@case(BOTH)
def text_lists_in_utf_16(root):
    splits(root)
    write(root / "train.txt", "images/train/img0.png\nimages/train/img1.png\n", "utf-16")
    write(root / "val.txt", "images/val/img2.png\n", "utf-16")
    yaml(root, "train: train.txt\nval: val.txt\n")


@case("yolo cat,dog train 2 (and 1 wrong)", "missing_image")
def a_list_with_an_image_that_is_missing(root):
    splits(root)
    write(root / "train.txt", "images/train/img0.png\nimages/train/img1.png\nimages/train/img7.png\n")
    yaml(root, "train: train.txt\n")


@case(TWO)
def names_with_spaces_hashes_and_quotes(root):
    pairs(root / "images", root / "labels", name="my #{} 'x'")
    yaml(root, "train: images\n")


@case(BOTH)
def capitals_everywhere(root):
    pairs(root / "Images" / "Train", root / "Labels" / "Train")
    pairs(root / "Images" / "Val", root / "Labels" / "Val", 1, 2)
    yaml(root, "TRAIN: images/train\nVal: images/val\n", "Data.YAML", names="[cat, dog]")


@case(BOTH)
def labels_in_another_case_than_images(root):
    pairs(root / "images" / "train", root / "Labels" / "train")
    pairs(root / "images" / "val", root / "Labels" / "val", 1, 2)
    yaml(root, "train: images/train\nval: images/val\n")


@case(TWO)
def label_files_with_a_suffix_in_capitals(root):
    for i in range(2):
        image(root / "images" / f"img{i}.png", i)
        write(root / "labels" / f"img{i}.TXT", line(i))
    yaml(root, "train: images\n")


@case(TWO)
def separators_of_spreadsheets(root):
    pairs(root / "images", root / "labels")
    write(root / "labels" / "img0.txt", line(0).replace(" ", ","))
    write(root / "labels" / "img1.txt", line(1).replace(" ", ";\t"))
    yaml(root, "train: images\n")


@case(TWO)
def decimal_commas(root):
    pairs(root / "images", root / "labels")
    write(root / "labels" / "img0.txt", line(0).replace(".", ","))
    write(root / "labels" / "img1.txt", line(1).replace(" ", ", "))
    yaml(root, "train: images\n")


@case(TWO)
def label_files_in_utf_16_and_with_a_mark(root):
    pairs(root / "images", root / "labels")
    write(root / "labels" / "img0.txt", line(0), "utf-16")
    write(root / "labels" / "img1.txt", line(1), "utf-8-sig")
    yaml(root, "train: images\n")


@case("yolo cat,dog train 1 (and 1 wrong)", "malformed_entry")
def lines_in_pixels(root):
    pairs(root / "images", root / "labels")
    x, y, w, h = box(0)
    write(root / "labels" / "img0.txt", f"0 {x + w / 2} {y + h / 2} {w} {h}\n")
    yaml(root, "train: images\n")


@case(TWO)
def oriented_boxes(root):
    pairs(root / "images", root / "labels")
    x, y, w, h = box(0)
    corners = (
        x / W,
        (y + h / 2) / H,
        (x + w / 2) / W,
        y / H,
        (x + w) / W,
        (y + h / 2) / H,
        (x + w / 2) / W,
        (y + h) / H,
    )
    write(root / "labels" / "img0.txt", f"0 {' '.join(map(str, corners))}\n")
    yaml(root, "train: images\n")


@case(TWO)
def poses(root):
    pairs(root / "images", root / "labels")
    for i in range(2):
        write(root / "labels" / f"img{i}.txt", line(i).strip() + " 0.1 0.1 2" * 4 + "\n")
    yaml(root, "train: images\nkpt_shape: [4, 3]\n")


@case("yolo class 0,class 1 train 2")
def a_number_of_classes_without_names(root):
    pairs(root / "images", root / "labels")
    yaml(root, "train: images\nnc: 2\n", names="")


@case("yolo cat train 1 (and 1 wrong)", "unknown_category")
def a_class_beyond_the_names(root):
    pairs(root / "images", root / "labels")
    yaml(root, "train: images\nnc: 2\n", names="[cat]")


@case("DataError: .*which data set\\? Give one of the files: birds.yaml, cats.yaml")
def two_yaml_files(root):
    splits(root)
    yaml(root, "train: images/train\n", "birds.yaml")
    yaml(root, "train: images/val\n", "cats.yaml")


@case(BOTH)
def a_yaml_of_settings_beside_the_data(root):
    yaml(splits(root), "train: images/train\nval: images/val\n", "birds.yml")
    write(root / "args.yaml", "task: detect\nlr0: 0.01\n")


@case(BOTH)
def a_yaml_in_utf_16(root):
    splits(root)
    write(root / "data.yaml", "names: [cat, dog]\ntrain: images/train\nval: images/val\n", "utf-16")


@case("yolo 猫,dog train 2 valid 1")
def names_in_other_scripts(root):
    yaml(splits(root), "train: images/train\nval: images/val\n", names="[猫, dog]")


@case("DataError: .*data.yaml: invalid YAML at line 2")
def a_yaml_with_tabs(root):
    splits(root)
    write(root / "data.yaml", "names: [cat, dog]\n\ttrain: images/train\n")


@case("DataError: .*data.yaml: none of its splits was found")
def splits_that_are_not_there(root):
    pairs(root / "pictures", root / "text")
    yaml(root, "train: images/train\nval: images/val\n")


@case(TWO, "malformed_entry")
def a_split_that_is_not_there_beside_one_that_is(root):
    pairs(root / "images", root / "labels")
    yaml(root, "train: images\nval: nowhere/images\n")


@case(BOTH)
def darknet_with_its_own_names(root):
    pairs(root / "data" / "obj", root / "data" / "obj", 3)
    write(
        root / "birds.data", "classes = 2\ntrain  = data/train.txt\nvalid  = data/test.txt\nnames = data/birds.names\n"
    )
    write(root / "data" / "birds.names", "cat\ndog\n")
    write(root / "data" / "train.txt", "data/obj/img0.png\ndata/obj/img1.png\n")
    write(root / "data" / "test.txt", "data/obj/img2.png\n")


@case(BOTH)
def cvat_yolo_1_1_with_two_subsets(root):
    pairs(root / "obj_Train_data", root / "obj_Train_data")
    pairs(root / "obj_Validation_data", root / "obj_Validation_data", 1, 2)
    write(
        root / "obj.data",
        "classes = 2\nTrain = data/Train.txt\nValidation = data/Validation.txt\nnames = data/obj.names\n",
    )
    write(root / "obj.names", "cat\ndog\n")
    write(root / "Train.txt", "data/obj_Train_data/img0.png\ndata/obj_Train_data/img1.png\n")
    write(root / "Validation.txt", "data/obj_Validation_data/img2.png\n")


@case(BOTH)
def label_img_in_split_folders(root):
    pairs(root / "Training", root / "Training")
    pairs(root / "Validation", root / "Validation", 1, 2)
    write(root / "Training" / "classes.txt", "cat\ndog\n")
    write(root / "Validation" / "classes.txt", "cat\ndog\n")


@case("DataError: .*the classes in .* and .* differ")
def label_img_with_other_classes_in_each_folder(root):
    pairs(root / "train", root / "train")
    pairs(root / "val", root / "val", 1, 2)
    write(root / "train" / "classes.txt", "cat\ndog\n")
    write(root / "val" / "classes.txt", "dog\ncat\n")


@case("yolo 狗,dog train 2")
def class_names_in_utf_16(root):
    pairs(root / "images", root / "labels")
    write(root / "classes.txt", "狗\r\ndog\r\n", "utf-16")


@case("DataError: .*classes.txt: not a readable text file")
def class_names_in_gb2312(root):
    pairs(root / "images", root / "labels")
    write(root / "classes.txt", "狗\ndog\n", "gb2312")


@case(BOTH)
def makesense_with_lists_in_a_folder(root):
    pairs(root / "images", root / "labels", 3)
    write(root / "labels" / "labels.txt", "cat\ndog\n")
    write(root / "splits" / "train.txt", "img0.png\nimg1.png\n")
    write(root / "splits" / "val.txt", "img2.png\n")


@case(TWO)
def images_behind_a_link(root):
    pairs(root / "store" / "x", root / "labels" / "train")
    (root / "images").mkdir()
    (root / "images" / "train").symlink_to(root / "store" / "x", target_is_directory=True)
    yaml(root, "train: images/train\n")


@case("yolo cat,dog train 1")
def a_loop_of_links(root):
    pairs(root / "images", root / "labels", 1)
    (root / "images" / "again").symlink_to(root / "images", target_is_directory=True)
    yaml(root, "train: images\n")


@case(BOTH)
def links_to_folders_of_the_data_set(root):
    splits(root)
    train = root / "images" / "train"
    for link, target in (("up", root / "images"), ("val", root / "images" / "val"), ("again", train)):
        (train / link).symlink_to(target, target_is_directory=True)
    (train / "val").unlink()
    yaml(root, "train: images/train\nval: images/val\n")


@case(TWO)
def thumbnails_of_a_server(root):
    pairs(root / "images", root / "labels")
    image(root / "images" / "@eaDir" / "img0.png" / "SYNOPHOTO_THUMB_M.png", 9)
    yaml(root, "train: images\n")


@case(TWO, "broken_link")
def a_link_that_became_a_text_file(root):
    pairs(root / "images" / "cam0", root / "labels" / "cam0")
    pairs(root / "store", root / "labels" / "cam1", 1, 2)
    write(root / "images" / "cam1", "../store")
    yaml(root, "train: images\n")


@case("yolo cat,cat train 2", "same_name")
def a_name_that_occurs_twice(root):
    pairs(root / "images", root / "labels")
    yaml(root, "train: images\n", names="[cat, cat]")


@case(TWO, "malformed_entry")
def another_number_of_classes_than_names(root):
    pairs(root / "images", root / "labels")
    yaml(root, "train: images\nnc: 3\n")


@case(TWO)
def hidden_folders_of_notebooks_and_macos(root):
    pairs(root / "images", root / "labels")
    for folder in (".ipynb_checkpoints", "__MACOSX"):
        image(root / "images" / folder / "img0-checkpoint.png", 5)
    yaml(root, "train: images\n")


@case(BOTH)
def nulls_of_a_yaml_library(root):
    yaml(splits(root), "path: null\ntrain: images/train\nval: images/val\ntest: ~\n")


@case(TWO)
def names_in_utf_16_without_a_mark(root):
    pairs(root / "images", root / "labels")
    write(root / "classes.txt", "cat\r\ndog\r\n", "utf-16-le")


@case(TWO)
def a_list_with_escapes(root):
    pairs(root / "images", root / "labels", name="img {}#")
    write(root / "train.txt", "images/img%200%23.png\nimages/img%201%23.png\n")
    yaml(root, "train: train.txt\n")


@case("yolo cat,dog train 0 (and 2 wrong)", "orphan_labels")
def labels_of_a_split_above_its_folder(root):
    pairs(root / "images" / "train", root / "labels")
    yaml(root, "train: images/train\n")


@case(TWO, "extra_number")
def a_confidence_or_a_track_behind_the_box(root):
    pairs(root / "images", root / "labels")
    for i, more in enumerate(("0.91", "0.91 12")):
        write(root / "labels" / f"img{i}.txt", f"{line(i).strip()} {more}\n")
    yaml(root, "train: images\n")


@case("yolo cat,dog train 0 (and 4 wrong)", "corner_boxes", "clipped_box")
def corners_in_fractions(root):
    pairs(root / "images", root / "labels", 4)
    for i in range(4):
        x, y, *_ = box(i)
        write(root / "labels" / f"img{i}.txt", f"{i % 2} {x / W} {y / H} 0.9 0.95\n")
    yaml(root, "train: images\n")


@case("yolo cat,dog train 3")
def patterns(root):
    yaml(splits(root), "train: images/[tv]*/*.png\n")


@case("yolo cat,dog train 3")
def patterns_of_folders_of_another_machine(root):
    yaml(splits(root), "train: /content/set/images/*a*\n")


@case("yolo cat,dog train 3")
def paths_with_commas_between(root):
    yaml(splits(root), "train: images/train, images/val\n")


@case("yolo cat,dog train 1")
def a_single_image(root):
    yaml(splits(root), "train: images/val/img2.png\n")


@case("yolo cat,dog train 1", "unlisted_images", "unlisted_labels")
def images_in_no_list(root):
    pairs(root / "images", root / "labels", 3)
    write(root / "train.txt", "images/img0.png\n")
    yaml(root, "train: train.txt\n")


@case(BOTH)
def names_in_a_file(root):
    write(splits(root) / "my.names", "cat\ndog\n")
    yaml(root, "train: images/train\nval: images/val\n", names="./my.names")


@case("yolo cat,dog train 2")
def names_in_a_file_in_the_path(root):
    pairs(root / "data" / "images", root / "data" / "labels")
    write(root / "data" / "my.names", "cat\ndog\n")
    yaml(root, "path: data\ntrain: images\n", names="my.names")


@case("DataError: .*data.yaml: 'names' must be a list .* or a file")
def names_in_a_file_that_is_not_here(root):
    yaml(splits(root), "train: images/train\n", names="my.names")


@case(BOTH)
def another_file_than_the_one_of_a_usual_name(root):
    yaml(splits(root), "train: images/train\nval: images/val\n", "birds.yaml")
    write(root / "data.yaml", "license: mit\n")


@case("DataError: .*data.yaml: not a YOLO data set: it has no 'names'")
def a_yaml_file_of_a_usual_name_without_names(root):
    image(root / "images" / "a.png", 0)
    yaml(root, "train: images\n", names="")


@case("DataError: .*data.yaml: not UTF-8 text .*Save it as UTF-8")
def names_in_another_encoding(root):
    yaml(splits(root), "train: images/train\n", names="[Kätzchen, dog]")
    file = root / "data.yaml"
    file.write_bytes(file.read_text(encoding="utf-8").encode("latin-1"))


@case("DataError: .*but .*config/data.yaml is one. Give that file")
def a_yaml_file_in_a_subfolder(root):
    yaml(splits(root), "path: ..\ntrain: images/train\n", "config/data.yaml")


@case("DataError: .*images: a part of the data set in .*set. Give that folder")
def the_folder_of_the_images(root):
    yaml(splits(root), "train: images/train\n")
    return root / "images"


@case("DataError: .*train: a part of the data set in .*set. Give that folder")
def the_folder_of_a_split(root):
    pairs(root / "train" / "images", root / "train" / "labels")
    yaml(root, "train: train/images\n")
    return root / "train"


@case("DataError: .*looks like YOLO .*neither data.yaml nor classes.txt")
def labels_without_names(root):
    pairs(root / "images", root / "labels")


@pytest.mark.parametrize(
    "names",
    ["cat, dog", "(cat, dog)", "\"['cat', 'dog']\"", "('cat', 'dog')", "(\"cat\", \"dog\",)",
     "\n  - 0: cat\n  - 1: dog", "\n  - {id: 0, name: cat}\n  - {id: 1, name: dog}",
     "{cat: 0, dog: 1}", "{1: dog, 0: cat}"],
)  # fmt: skip
def test_forms_of_names(names: str, tmp_path: Path) -> None:
    pairs(tmp_path / "images", tmp_path / "labels")
    yaml(tmp_path, "train: images\n", names=names)
    assert outcome(tmp_path)[0] == TWO


@pytest.mark.parametrize("names", ["0 cat\n1 dog\n", "0: cat\n1: dog\n", "cat,dog\n", "cat\ndog\n\n"])
def test_forms_of_files_of_names(names: str, tmp_path: Path) -> None:
    pairs(tmp_path / "images", tmp_path / "labels")
    write(tmp_path / "classes.txt", names)
    assert outcome(tmp_path)[0] == TWO


@pytest.mark.parametrize("name", ["predefined_classes.txt", "label_list.txt", "class_names.txt", "Names.txt"])
def test_names_of_files_of_names(name: str, tmp_path: Path) -> None:
    pairs(tmp_path / "images", tmp_path / "labels")
    write(tmp_path / name, "cat\ndog\n")
    assert outcome(tmp_path)[0] == TWO


@case("yolo cat train 1")
def a_single_class_as_a_word(root):
    pairs(root / "images", root / "labels", 1)
    yaml(root, "train: images\nnc: 1\n", names="cat")


@case(TWO)
def names_as_classes(root):
    pairs(root / "images", root / "labels")
    yaml(root, "train: images\nnc: 2\nclasses: [cat, dog]\n", names="")


@case("DataError: .*data.yaml: invalid YAML at line 3 .the key 0 occurs twice")
def a_number_of_two_names(root):
    pairs(root / "images", root / "labels")
    yaml(root, "train: images\n", names="\n  0: cat\n  0: dog")


@case("DataError: .*the key train occurs twice")
def a_split_that_is_given_twice(root):
    yaml(splits(root), "train: images/train\ntrain: images/val\n")


@case("DataError: .*line 2: a .* in double quotes. Write / in its place")
def backslashes_in_double_quotes(root):
    yaml(splits(root), 'train: "D:\\data\\images\\train"\n')


@case(BOTH)
def backslashes_in_double_quotes_that_are_escapes(root):
    yaml(splits(root), 'train: "images\\train"\nval: "images\\val"\n')


@case(BOTH)
def entries_that_repeat_an_absolute_path(root):
    pairs(root / "train", root / "train")
    pairs(root / "val", root / "val", 1, 2)
    yaml(root, "path: /data/birds\ntrain: /data/birds/train\nval: /data/birds/val\n")


@case("yolo cat,dog train 3")
def lists_in_a_list(root):
    yaml(splits(root), "train: [[images/train], [images/val]]\n")


@case("yolo cat,dog train 0 (and 2 wrong)", "shifted_categories")
def numbers_from_1(root):
    pairs(root / "images", root / "labels")
    for i in range(2):
        write(root / "labels" / f"img{i}.txt", f"{1 + i % 2}{line(i)[1:]}")
    yaml(root, "train: images\n")


@case(TWO)
def old_ends_of_lines_and_signs_that_are_not_seen(root):
    pairs(root / "images", root / "labels")
    write(root / "labels" / "img0.txt", f"# class x y w h\r{line(0).strip()}\r\x1a")
    write(root / "labels" / "img1.txt", f"\u200b{line(1).strip()}\0\0".replace(" ", "\u00a0"))
    write(root / "data.yaml", "train: images\rnames: [cat, dog]\r")


@case("yolo cat,dog train 0 (and 2 wrong)", "nothing_to_learn", "malformed_entry")
def boxes_with_an_angle(root):
    pairs(root / "images", root / "labels")
    for i, angle in enumerate((0.7, -1.2)):
        write(root / "labels" / f"img{i}.txt", f"{line(i).strip()} {angle}\n")
    yaml(root, "train: images\n")


@case("yolo cat,dog train 0 (and 3 wrong)", "corner_boxes", "clipped_box")
def upper_left_corners(root):
    pairs(root / "images", root / "labels", 3)
    for i in range(3):
        x, y, w, h = box(i)
        write(root / "labels" / f"img{i}.txt", f"{i % 2} {x / W} {y / H} {w / W} {h / H}\n")
    yaml(root, "train: images\n")


@case(BOTH)
def text_files_with_capitals(root):
    pairs(root / "images", root / "labels", 3)
    write(root / "Classes.TXT", "cat\ndog\n")
    write(root / "Train.TXT", "images/img0.png\nimages/img1.png\n")
    write(root / "VAL.TXT", "images/img2.png\n")


@case(TWO)
def a_yaml_with_capitals(root):
    pairs(root / "images", root / "labels")
    write(root / "other.yaml", "names: [a, b]\ntrain: images\n")
    yaml(root, "train: images\n", "DATA.YAML")


@case(TWO)
def label_files_in_another_case_and_form(root):
    for i, (one, other) in enumerate((("IMG_0", "img_0"), ("\u00e9", "e\u0301"))):
        image(root / "images" / f"{one}.png", i)
        write(root / "labels" / f"{other}.txt", line(i))
    yaml(root, "train: images\n")


@case(TWO)
def other_folders_beside_the_labels(root):
    pairs(root / "JPEGImages", root / "label")
    yaml(root, "train: JPEGImages\n")


@case(TWO)
def images_in_images(root):
    pairs(root / "images" / "images", root / "labels" / "images")
    yaml(root, "train: images/images\n")


def pose(i: int) -> str:
    """Five keypoints without visibilities, in no order that an outline has."""
    x, y, w, h = box(i)
    places = ((0.3, 0.2), (0.7, 0.2), (0.4, 0.9), (0.6, 0.1), (0.2, 0.8))
    points = " ".join(f"{(x + w * dx) / W} {(y + h * dy) / H}" for dx, dy in places)
    return f"{line(i).strip()} {points}\n"


@case("yolo cat,dog train 5 valid 1", "extra_number")
def keypoints_without_visibilities_in_a_split_of_one_line(root):
    pairs(root / "images" / "train", root / "labels" / "train", 5)
    pairs(root / "images" / "val", root / "labels" / "val", 1, 5)
    for i in range(6):
        write(root / "labels" / ("train" if i < 5 else "val") / f"img{i}.txt", pose(i))
    yaml(root, "train: images/train\nval: images/val\n")


@case("yolo cat,dog train 1", "extra_number")
def keypoints_without_visibilities_in_one_line(root):
    pairs(root / "images", root / "labels", 1)
    write(root / "labels" / "img0.txt", pose(0))
    yaml(root, "train: images\n")


@case(TWO)
def keypoints_that_only_flip_idx_announces(root):
    pairs(root / "images", root / "labels")
    for i in range(2):
        write(root / "labels" / f"img{i}.txt", f"{line(i).strip()} 0.5 0.5 0.9 0.9\n")
    yaml(root, "train: images\nflip_idx: [1, 0]\n")


def test_the_place_where_labels_are_looked_for_is_named(tmp_path: Path) -> None:
    pairs(tmp_path / "images", tmp_path / "annotations")
    yaml(tmp_path, "train: images\n")
    (one,) = (finding for finding in examine(tmp_path).findings if finding.name == "nothing_to_learn")
    assert str(tmp_path / "labels" / "img0.txt") in one.detail
    yaml(tmp_path, "train: annotations\n")
    (one,) = (finding for finding in examine(tmp_path).findings if finding.name == "nothing_to_learn")
    assert one.detail.endswith(f"no image is in {tmp_path / 'annotations'}")


@case(BOTH)
def lists_of_names_without_suffixes(root):
    pairs(root / "images", root / "labels", 3)
    write(root / "classes.txt", "cat\ndog\n")
    write(root / "ImageSets" / "train.txt", "# two of three\nimg0\nIMG1\n")
    write(root / "ImageSets" / "val.txt", "img2\n")


@case(BOTH)
def lists_of_images_and_their_labels(root):
    splits(root)
    write(root / "train.txt", "images/train/img0.png\tlabels/train/img0.txt\nimages/train/img1.png,x.txt\n")
    yaml(root, "train: train.txt\nval: images/val\n")


@case(BOTH)
def folders_of_images_and_labels_of_each_split(root):
    pairs(root / "train_images", root / "train_labels")
    pairs(root / "images-val", root / "labels-val", 1, 2)
    yaml(root, "train: train_images\nval: images-val\n")


@case(BOTH)
def names_with_spaces_around(root):
    yaml(splits(root), "train: images/train\nval: images/val\n", names="[' cat', 'dog ']")


@case("yolo cat,dog train 2 (and 1 wrong)", "shared_labels")
def an_image_and_its_mask(root):
    pairs(root / "images", root / "labels")
    image(root / "images" / "img0.bmp", 200)
    image(root / "images" / "not labelled.bmp", 7)
    yaml(root, "train: images/img*\n")


@case(BOTH)
def a_list_with_a_comment(root):
    splits(root)
    write(root / "train.txt", "# images of day 1\nimages/train/img0.png\nimages/train/img1.png\n")
    yaml(root, "train: train.txt\nval: images/val\n")


@case(BOTH)
def paths_with_spaces_behind(root):
    yaml(splits(root), 'train: "images/train "\nval: " images/val"\n')


HEIC = b"\0\0\0\x18ftypheic" + bytes(99)


@case("yolo cat,dog train 1 (and 1 wrong)", "unreadable_image")
def an_image_of_a_format_that_is_not_read(root):
    pairs(root / "images", root / "labels")
    (root / "images" / "img1.png").unlink()
    for name in ("img0", "img1", "not labelled"):  # img0.png is there too
        (root / "images" / f"{name}.HEIC").write_bytes(HEIC)
    yaml(root, "train: images\n")


@case("yolo cat,dog train 0 (and 2 wrong)", "unreadable_image", "nothing_to_learn")
def images_of_a_format_that_is_not_read_without_yaml(root):
    pairs(root / "images", root / "labels")
    for i in range(2):
        (root / "images" / f"img{i}.png").unlink()
        (root / "images" / f"img{i}.heic").write_bytes(HEIC)
    write(root / "classes.txt", "cat\ndog\n")


def changed(root: Path, change: Callable[[int], str]) -> Path:
    """Two images whose label files have what `change` gives."""
    pairs(root / "images", root / "labels")
    write(root / "classes.txt", "cat\ndog\n")
    for i in range(2):
        write(root / "labels" / f"img{i}.txt", change(i))
    return root


@pytest.mark.parametrize(
    ("change", "findings"),
    [
        (lambda i: f"{line(i).strip()} 0.9 {i}\n", {"extra_number"}),  # a track from 0, behind a confidence
        (lambda i: f"{line(i).strip()} 0 1\n", {"extra_number"}),  # truncated, occluded
        (lambda i: line(i).replace(".", ",").replace(" ", ";"), set()),
        (lambda i: line(i).strip() + " # a comment\n", set()),
        (lambda i: f'"{line(i).strip()}"\n', set()),
    ],
)
def test_lines_of_other_programs(change: Callable[[int], str], findings: set[str], tmp_path: Path) -> None:
    assert outcome(changed(tmp_path, change)) == (TWO, findings)


def test_triangles_at_the_edge_of_the_image_are_no_tracks(tmp_path: Path) -> None:
    triangle = f"0 {4 / W} 0.5 {16 / W} 0.5 {4 / W} 1\n"
    longer = f"0 {4 / W} 0.5 {16 / W} 0.5 {16 / W} 0.9 {4 / W} 0.9\n"
    changed(tmp_path, lambda i: triangle if i == 0 else longer)
    boxes = [sample.truth.boxes.tolist() for sample in examine(tmp_path).dataset.splits["train"]]
    assert boxes == [[pytest.approx([4, H / 2, 16, H])], [pytest.approx([4, H / 2, 16, 0.9 * H])]]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [("0 10 10 4 4\n", "the box is in pixels"), ("0 10% 10% 4% 4%\n", "words that are not numbers: 10% 10% 4% 4%"),
     ("\n0 0.1 0.1 0.2\n", "4 numbers"), ("0 0.1 0.1 0.2 0.2 cat\n", "words that are not numbers: cat")],
)  # fmt: skip
def test_labels_without_a_valid_line_are_called_so(labels: str, reason: str, tmp_path: Path) -> None:
    read, _ = outcome(changed(tmp_path, lambda i: labels))
    number = 1 + labels.startswith("\n")
    assert f"labels/img0.txt:{number}: {reason}" in read
    assert "fractions of the image" in read


def test_aliases_of_aliases_are_read_once(tmp_path: Path) -> None:
    aliases = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
    yaml(splits(tmp_path), f"a0: &a0 [images/train]\n{aliases}train: *a9\nval: images/val\n")
    assert outcome(tmp_path)[0] == BOTH


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize(
    ("name", "finding"),
    [("labels/train/img0.txt", "malformed_entry"), ("images/train/x.png", "unreadable_image"), ("x.yaml", None),
     ("x.json", None), ("train.txt", None), ("annotations/train.json", None)],
)  # fmt: skip
def test_pipes_are_not_read(name: str, finding: str | None, tmp_path: Path) -> None:
    yaml(splits(tmp_path), "train: images/train\nval: images/val\n")
    pipe = tmp_path / name
    pipe.unlink(missing_ok=True)
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)
    opened: list[bool] = []

    def write_nothing() -> None:  # so that whoever reads the pipe does not wait
        with pipe.open("wb"):
            opened.append(True)

    threading.Thread(target=write_nothing, daemon=True).start()
    _, found = outcome(tmp_path)
    assert (finding is None or finding in found, opened) == (True, [])


@pytest.mark.parametrize("name", CASES)
def test_yolo_folders_of_the_field(name: str, tmp_path: Path) -> None:
    CASES.check(name, tmp_path, unexpected={"orphan_labels", "shared_labels"})
