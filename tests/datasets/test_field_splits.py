"""Names and places of the lists and folders of splits: used, or at least reported, never all images in `train`."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from condetr.examining.examine import examine
from tests.datasets.field import coco, image, line, outcome, voc, write

HALVES = ((0, 1), (2, 3))


def labelled(format: str, images: Path, labels: Path, numbers: Sequence[int]) -> None:
    for i in numbers:
        image(images / f"img{i}.png", i)
        if format == "yolo":
            write(labels / f"img{i}.txt", line(i))
        else:
            write(labels / f"img{i}.xml", voc(f"img{i}.png", i))


def flat(format: str, root: Path) -> Path:
    """Four images in one folder, with their labels."""
    if format == "yolo":
        labelled(format, root / "images", root / "labels", range(4))
        write(root / "classes.txt", "cat\ndog\n")
    else:
        labelled(format, root / "JPEGImages", root / "Annotations", range(4))
    return root


@pytest.mark.parametrize("format", ["yolo", "voc"])
@pytest.mark.parametrize(
    ("files", "split"),
    [
        (("train_list.txt", "val_list.txt"), "valid"), (("trainlist.txt", "testlist.txt"), "test"),
        (("list_train.txt", "list_val.txt"), "valid"), (("train.lst", "val.lst"), "valid"),
        (("train.list", "TEST.LIST"), "test"), (("trainset.txt", "valset.txt"), "valid"),
        (("train.txt", "eval.txt"), "valid"), (("data/train.txt", "data/val.txt"), "valid"),
        (("ImageSets/Main/train.txt", "ImageSets/Main/val.txt"), "valid"),
        (("train_files_2017.txt", "val_files_2017.txt"), "valid"),
    ],
)  # fmt: skip
def test_lists_have_many_names(format: str, files: tuple[str, str], split: str, tmp_path: Path) -> None:
    root = flat(format, tmp_path)
    for file, numbers in zip(files, HALVES):
        write(root / file, "".join(f"img{i}.png\n" for i in numbers))
    assert outcome(root)[0] == f"{format} cat,dog train 2 {split} 2"


@pytest.mark.parametrize("format", ["yolo", "voc"])
@pytest.mark.parametrize("form", ["data/obj/img{}.png", '"img{}.png"', "labels/img{}", "{} ../img{}.png"])
def test_lines_of_lists_have_many_forms(format: str, form: str, tmp_path: Path) -> None:
    root = flat(format, tmp_path)
    for file, numbers in zip(("train.txt", "val.txt"), HALVES):
        write(root / file, "".join(form.replace("{}", str(i)) + "\n" for i in numbers))
    assert outcome(root)[0] == f"{format} cat,dog train 2 valid 2"


@pytest.mark.parametrize(
    ("images", "labels"),
    [("images/{}", "labels/{}"), ("Images/{}", "Labels/{}"), ("{}", "labels/{}"), ("images_{}", "labels_{}"),
     ("{}_images", "{}_labels"), ("{}/images", "{}/labels"), ("images/{}", "images/{}/labels")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("names", "split"),
    [(("train", "val"), "valid"), (("trainset", "testset"), "test"), (("training_set", "validation_set"), "valid"),
     (("Train", "Eval"), "valid"), (("train_2017", "val_2017"), "valid")],
)  # fmt: skip
def test_folders_have_many_names(images: str, labels: str, names: tuple[str, str], split: str, tmp_path: Path) -> None:
    for name, numbers in zip(names, HALVES):
        labelled("yolo", tmp_path / images.format(name), tmp_path / labels.format(name), numbers)
    write(tmp_path / "classes.txt", "cat\ndog\n")
    assert outcome(tmp_path)[0] == f"yolo cat,dog train 2 {split} 2"


def test_parts_of_train_beside_valid(tmp_path: Path) -> None:
    for name, numbers in (("train_0", [0]), ("train_1", [1, 2]), ("val", [3])):
        labelled("yolo", tmp_path / "images" / name, tmp_path / "labels" / name, numbers)
    write(tmp_path / "classes.txt", "cat\ndog\n")
    data = examine(tmp_path).dataset
    names = {name: sorted(sample.path.stem for sample in split) for name, split in data.splits.items()}
    assert names == {"train": ["img0", "img1", "img2"], "valid": ["img3"]}


@pytest.mark.parametrize("above", [".", "VOCdevkit"])
def test_a_devkit_without_lists_can_have_the_name_of_a_split(above: str, tmp_path: Path) -> None:
    for name, numbers in zip(("VOC2007_train", "VOC2007_test"), HALVES):
        base = tmp_path / above / name
        labelled("voc", base / "JPEGImages", base / "Annotations", numbers)
    assert outcome(tmp_path)[0] == "voc cat,dog train 2 test 2"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("val.csv", "file,class\nimg2.png,cat\n"), ("val_1.txt", "img2\nimg3\n"), ("ids/val", "img2\n"),
        ("test.txt", "img2.jpg\n"), ("split.json", '{"train": ["img0"], "val": ["img2.png", "img3.png"]}'),
        ("lists/splits.csv", "name,split\nimg0,train\nimg2,test\n"), ("val.json", '["img2.png"]'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("format", ["yolo", "coco"])
def test_a_list_that_is_not_used_is_reported(format: str, file: str, content: str, tmp_path: Path) -> None:
    if format == "yolo":
        flat(format, tmp_path)
    else:
        names = [image(tmp_path / "images" / f"img{i}.png", i).name for i in range(4)]
        write(tmp_path / "annotations.json", coco(names))
    write(tmp_path / file, content)
    read, found = outcome(tmp_path)
    assert (read, "other_split" in found) == (f"{format} cat,dog train 4", True)


def test_a_folder_of_another_split_is_reported_once_with_its_number_of_images(tmp_path: Path) -> None:
    for name, numbers in zip(("train_1", "val_1"), HALVES):
        labelled("yolo", tmp_path / "images" / name, tmp_path / "labels" / name, numbers)
    write(tmp_path / "classes.txt", "cat\ndog\n")
    assert outcome(tmp_path) == ("yolo cat,dog train 4", {"other_split"})


@pytest.mark.parametrize(
    ("file", "content"), [("val.txt", "img9\n"), ("val_notes.txt", "2 images\n"), ("names.txt", "img2\n")]
)
def test_files_that_list_no_image_of_train_are_not_reported(file: str, content: str, tmp_path: Path) -> None:
    write(flat("yolo", tmp_path) / file, content)
    read, found = outcome(tmp_path)
    assert (read.split()[-2:], "other_split" in found) == (["train", "4"], False)


def test_data_divided_anew_are_not_reported(tmp_path: Path) -> None:
    for name, numbers in zip(("train", "val"), HALVES):
        names = [image(tmp_path / name / f"img{i}.png", i).name for i in numbers]
        write(tmp_path / "annotations" / f"{name}.json", coco(names, numbers[0]))
    write(tmp_path / "old" / "val.txt", "img0\n")
    assert outcome(tmp_path) == ("coco cat,dog train 2 valid 2", set())


def test_images_in_folders_beside_those_of_the_data_set_are_noted(tmp_path: Path) -> None:
    for name, numbers in zip(("train", "more"), HALVES):
        labelled("yolo", tmp_path / name / "images", tmp_path / name / "labels", numbers)
    image(tmp_path / "train" / "masks" / "img0.png", 9)  # has the name of an image
    write(tmp_path / "data.yaml", "names: [cat, dog]\ntrain: train/images\n")
    assert outcome(tmp_path) == ("yolo cat,dog train 2", {"unlisted_images"})


@pytest.mark.parametrize("key", ["val_path", "dev", "eval", "val_images", "validation_dir", "Val"])
def test_other_keys_of_a_split(key: str, tmp_path: Path) -> None:
    for name, numbers in zip(("a", "b"), HALVES):
        labelled("yolo", tmp_path / "images" / name, tmp_path / "labels" / name, numbers)
    write(tmp_path / "data.yaml", f"names: [cat, dog]\ntrain: images/a\n{key}: images/b\ntest_split: 0.2\n")
    assert outcome(tmp_path)[0] == "yolo cat,dog train 2 valid 2"


@pytest.mark.parametrize(
    ("file", "content"),
    [("splits.json", '"val":[' * 150_000), ("val_scores.csv", "".join(f"0.{i},1\n" for i in range(100_000)))],
)
def test_long_files_with_the_names_of_lists_are_passed_over_at_once(file: str, content: str, tmp_path: Path) -> None:
    """A megabyte took minutes: each list was sought to the end of the file, each number among all lines."""
    write(flat("yolo", tmp_path) / file, content)
    started = time.process_time()
    read, found = outcome(tmp_path)
    assert time.process_time() - started < 10
    assert (read.split()[-2:], "other_split" in found) == (["train", "4"], False)
