"""Recognition, the names of splits, and a part held out."""

import pytest

from condetr.datasets.open import open_dataset
from condetr.datasets.raw import folder_split, split_name
from condetr.errors import DataError
from condetr.examining.examine import examine
from tests.labelled import coco_content


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("train", "train"), ("Train2017", "train"), ("instances_train2014", "train"), ("trainval", "train"),
        ("val", "valid"), ("valid", "valid"), ("validation", "valid"), ("val2017", "valid"), ("minival", "valid"),
        ("test", "test"), ("test-dev2017", "test"), ("TEST", "test"), ("images", None), ("contest", None),
    ],
)  # fmt: skip
def test_split_names_are_normalised(word, split):
    assert split_name(word) == split


def test_a_folder_is_a_split_only_when_its_whole_name_says_so(tmp_path):
    assert folder_split(tmp_path / "val2017") == "valid"
    assert folder_split(tmp_path / "test_the_waters") is None


@pytest.mark.parametrize("make", ["nothing", "empty", "other"])
def test_a_folder_that_is_not_a_data_set_is_a_one_line_error(tmp_path, make):
    path = tmp_path / "here"
    if make != "nothing":
        path.mkdir()
    if make == "other":
        (path / "notes.md").write_text("")
    expected = {"nothing": "no such file", "empty": "an empty folder", "other": "Looked for"}[make]
    with pytest.raises(DataError, match=expected) as caught:
        open_dataset(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_error_names_a_data_set_one_folder_below(roboflow):
    root = roboflow(train=coco_content(1))
    with pytest.raises(DataError, match=r"not a data set, but .*data is one\. Give that folder"):
        open_dataset(root.parent)


def test_two_files_of_one_split_are_refused(tmp_path):
    (tmp_path / "annotations").mkdir()
    for year in (2014, 2017):
        (tmp_path / "annotations" / f"instances_train{year}.json").write_text('{"images": []}')
    with pytest.raises(DataError, match="is also a 'train' split"):
        open_dataset(tmp_path)


def test_a_missing_split_is_named(roboflow):
    data = examine(open_dataset(roboflow(train=coco_content(1)))).dataset
    with pytest.raises(DataError, match=r"no split 'test'\. There are: train"):
        data.split("test")


def names(split):
    return {sample.path.name for sample in split.samples}


def test_held_out_images_depend_on_the_seed_and_each_name_alone(roboflow):
    data = examine(open_dataset(roboflow(train=coco_content(1, images=60)))).dataset
    parted = data.with_held_out(0.2, seed=3)
    train, valid = names(parted.split("train")), names(parted.split("valid"))
    assert train | valid == names(data.split("train"))
    assert not train & valid
    assert 3 <= len(valid) <= 24
    assert names(data.with_held_out(0.2, seed=3).split("valid")) == valid
    assert names(data.with_held_out(0.2, seed=4).split("valid")) != valid
    assert valid < names(data.with_held_out(0.5, seed=3).split("valid"))


def test_copies_of_one_source_stay_in_one_split(roboflow):
    content = coco_content(1, images=30)
    for i, image in enumerate(content["images"]):
        image["file_name"] = f"{i // 3}_png.rf.{i}.png"
    parted = examine(open_dataset(roboflow(train=content))).dataset.with_held_out(0.3, seed=0)
    sources = [{name.split(".rf.")[0] for name in names(parted.split(split))} for split in ("train", "valid")]
    assert not sources[0] & sources[1]


def test_both_splits_get_an_image_even_of_two(roboflow):
    data = examine(open_dataset(roboflow(train=coco_content(1, images=2)))).dataset
    for seed in range(5):
        parted = data.with_held_out(0.01 if seed % 2 else 0.99, seed)
        assert len(parted.split("train")) == len(parted.split("valid")) == 1


def test_holding_out_fails_if_there_is_a_valid_split(roboflow):
    data = examine(open_dataset(roboflow(train=coco_content(1), valid=coco_content(9)))).dataset
    with pytest.raises(DataError, match="already has a split 'valid'"):
        data.with_held_out(0.2, 0)
