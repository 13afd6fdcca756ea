"""YOLO: names as a list or mapping, splits as folders or lists, boxes and polygons in fractions of the image."""

import numpy as np
import pytest

from condetr.datasets.open import open_dataset
from condetr.datasets.yolo_poses import are_poses
from condetr.errors import DataError
from condetr.examining.examine import examine
from tests.labelled import write_image


def write(root, yaml, lines="1 0.5 0.5 0.25 0.5\n", images="train/images", labels="train/labels", orientation=1):
    write_image(root / images / "a.jpg", 1, (80, 40), orientation)
    (root / labels).mkdir(parents=True, exist_ok=True)
    (root / labels / "a.txt").write_text(lines)
    (root / "data.yaml").write_text(yaml)
    return root


def truth(root):
    return examine(open_dataset(root)).dataset.split("train").samples[0].truth


@pytest.mark.parametrize("names", ["[cat, dog]", "{0: cat, 1: dog}", "\n  - cat\n  - dog"])
def test_names_are_a_list_or_a_mapping(tmp_path, names):
    raw = open_dataset(write(tmp_path, f"names: {names}\ntrain: train/images\n"))
    assert (raw.format, raw.categories.ids, raw.categories.names) == ("yolo", (0, 1), ("cat", "dog"))


@pytest.mark.parametrize(
    ("images", "labels", "entry"),
    [
        ("train/images", "train/labels", "train/images"),
        ("train/images", "train/labels", "../train/images"),
        ("images/train", "labels/train", "images/train"),
        ("images/train", "labels/train", "[images/train]"),
        ("all", "all", "all"),
    ],
)
def test_layouts_in_use(tmp_path, images, labels, entry):
    root = write(tmp_path, f"names: [cat, dog]\ntrain: {entry}\n", images=images, labels=labels)
    assert truth(root).boxes.tolist() == [[30, 10, 50, 30]]
    assert truth(root).labels.tolist() == [1]


def test_a_path_and_a_list_of_files(tmp_path):
    write(tmp_path / "set", "", images="images/x", labels="labels/x")
    (tmp_path / "set" / "train.txt").write_text("./images/x/a.jpg\n")
    (tmp_path / "set" / "data.yaml").unlink()
    (tmp_path / "data.yaml").write_text("path: set\ntrain: train.txt\nnames: [cat, dog]\n")
    assert len(truth(tmp_path)) == 1


@pytest.mark.parametrize(
    ("entry", "images", "labels"),
    [
        ("/content/birds/train/images", "train/images", "train/labels"),
        ("C:\\birds\\train\\images", "train/images", "train/labels"),
        ("Train\\Images", "Train/Images", "Train/Labels"),
        ("list.txt", "images/x", "labels/x"),
    ],
)
def test_paths_of_another_machine_are_found_by_their_last_words(tmp_path, entry, images, labels):
    root = write(tmp_path, f"names: [cat, dog]\ntrain: {entry}\n", images=images, labels=labels)
    for text in (
        "images\\x\\a.jpg",
        "/content/birds/images/x/a.jpg",
        "D:\\birds\\images\\x\\a.jpg",
        "./images/x/a.jpg",
    ):
        (tmp_path / "list.txt").write_text(text)
        assert truth(root).boxes.tolist() == [[30, 10, 50, 30]]


@pytest.mark.parametrize("head", ["path: ~nobody-here/birds", 'path: "~a\\0b"', f"nc: {'9' * 5000}"])
def test_a_path_or_number_that_cannot_be_read_is_passed_over(tmp_path, head):
    """No user has this name or can have the other one, and Python reads no number of so many digits."""
    assert len(truth(write(tmp_path, f"{head}\nnames: [cat, dog]\ntrain: train/images\n"))) == 1


def test_more_classes_than_anybody_has_are_not_counted(tmp_path):
    """Of a number, all digits count."""
    with pytest.raises(DataError, match="'names' must be a list"):
        open_dataset(write(tmp_path, "nc: 0000000019999999\ntrain: train/images\n"))


def test_the_home_folder_of_nobody_does_not_exist():
    with pytest.raises(DataError, match="~nobody-here/birds: no such file or folder"):
        open_dataset("~nobody-here/birds")


def test_one_last_word_is_not_enough(tmp_path):
    """Else `/content/a/val/images` would be the training images in `images`."""
    write(tmp_path, "names: [cat]\ntrain: images\nval: /content/a/val/images\n", images="images", labels="labels")
    raw = open_dataset(tmp_path)
    assert [split.name for split in raw.splits] == ["train"]
    assert [finding.detail for finding in raw.findings] == ["valid: /content/a/val/images not found"]


def test_keypoints_are_ignored(tmp_path):
    line = "1 0.5 0.5 0.25 0.5 0.1 0.1 2 0.9 0.9 2\n"
    root = write(tmp_path, "names: [cat, dog]\ntrain: train/images\nkpt_shape: [2, 3]\n", line)
    assert truth(root).boxes.tolist() == [[30, 10, 50, 30]]


@pytest.mark.parametrize("shape", ["kpt_shape: [17, 3]\n", ""])
@pytest.mark.parametrize("count", [1, 2, 5, 17])
def test_keypoints_with_visibilities_are_recognised_without_kpt_shape(tmp_path, count, shape):
    line = "1 0.5 0.5 0.25 0.5" + " 0.5 0.6 2" * (count - 1) + " 0 0 0\n"
    root = write(tmp_path, f"names: [cat, dog]\ntrain: train/images\n{shape}", line)
    assert truth(root).boxes.tolist() == [[30, 10, 50, 30]]
    found = [one.name for one in examine(open_dataset(root)).findings]
    assert ("extra_number" in found) == (not shape)
    assert "malformed_entry" not in found


def test_keypoints_without_visibilities_lie_in_their_boxes(tmp_path):
    lines = (
        "1 0.5 0.5 0.25 0.5 0.45 0.5 0.55 0.7\n1 0.7 0.2 0.1 0.2 0.72 0.2 0.7 0.15\n1 0.8 0.8 0.1 0.2 0 0 0.81 0.82\n"
    )
    root = write(tmp_path, "names: [cat, dog]\ntrain: train/images\n", lines)
    np.testing.assert_allclose(truth(root).boxes, [[30, 10, 50, 30], [52, 4, 60, 12], [60, 28, 68, 36]], atol=1e-4)


@pytest.mark.parametrize("corners", [3, 4, 5, 6, 9])
def test_polygons_with_a_fixed_number_of_corners_are_no_poses(corners):
    random = np.random.default_rng(corners)
    for _ in range(50):
        center, size = random.uniform(0.1, 0.9, (6, 1, 2)), random.uniform(0.02, 0.4, (6, 1, 2))
        turn = random.uniform(0, np.pi, (6, 1)) + np.arange(corners) * 2 * np.pi / corners
        points = center + size * np.stack([np.cos(turn), np.sin(turn)], axis=2) / 2
        lines = [[0.0, *polygon.clip(0, 1).ravel().tolist()] for polygon in points]
        assert not are_poses(lines)
        assert not any(are_poses(lines[i : i + 1 + i % 2]) for i in range(6))  # a split can have few


def test_labels_that_keep_the_suffix_of_the_image_are_found(tmp_path):
    root = write(tmp_path, "names: [cat, dog]\ntrain: train/images\n")
    (root / "train/labels/a.txt").rename(root / "train/labels/a.jpg.txt")
    assert truth(root).boxes.tolist() == [[30, 10, 50, 30]]
    assert [one.name for one in examine(open_dataset(root)).findings] == ["empty_class"]


def test_hidden_files_of_macos_are_not_images(tmp_path):
    root = write(tmp_path, "names: [cat, dog]\ntrain: train/images\n")
    for litter in ("train/images/._a.jpg", "train/labels/._a.txt", "train/images/.DS_Store"):
        (root / litter).write_bytes(b"\0\5\x16\7")
    diagnosis = examine(open_dataset(root))
    assert [finding.name for finding in diagnosis.findings] == ["empty_class"]


def test_a_polygon_becomes_the_box_around_it(tmp_path):
    root = write(tmp_path, "names: [cat]\ntrain: train/images\n", "0 0.25 0.5 0.5 0.25 0.75 0.5 0.5 0.75\n")
    assert truth(root).boxes.tolist() == [[20, 10, 60, 30]]


def test_fractions_refer_to_the_upright_image(tmp_path):
    found = truth(write(tmp_path, "names: [cat, dog]\ntrain: train/images\n", orientation=6))
    assert found.size == (40, 80)
    assert np.allclose(found.boxes, [[15, 20, 25, 60]])


def test_an_image_without_a_label_file_has_no_objects(tmp_path):
    root = write(tmp_path, "names: [cat, dog]\ntrain: train/images\n")
    write_image(root / "train/images/b.jpg", 2)
    diagnosis = examine(open_dataset(root))
    assert [len(sample.truth) for sample in diagnosis.dataset.split("train").samples] == [1, 0]
    assert [(f.name, f.file.name) for f in diagnosis.findings if f.name == "no_objects"] == [("no_objects", "b.jpg")]


@pytest.mark.parametrize(
    ("line", "defect"),
    [
        ("0 0.5 0.5", "malformed_entry"),
        ("0 0.5 0.5 0.2 0.2 0.9 0.1 0.3", "malformed_entry"),
        ("cat 0.5 0.5 0.2 0.2", "malformed_entry"),
        ("0.5 0.5 0.5 0.2 0.2", "malformed_entry"),
        ("inf 0.5 0.5 0.2 0.2", "malformed_entry"),
        ("7 0.5 0.5 0.2 0.2", "unknown_category"),
        ("-1 0.5 0.5 0.2 0.2", "unknown_category"),
        ("0 nan 0.5 0.2 0.2", "not_finite_box"),
        ("0 0.5 0.5 0 0.2", "empty_box"),
        ("0 0.6 0.5 -0.2 0.2", "swapped_corners"),
        ("0 2.5 0.5 0.2 0.2", "outside_box"),
        ("0 0.9 0.5 0.4 0.2", "clipped_box"),
    ],
)
def test_a_defective_line_is_reported_with_its_file_and_number(tmp_path, line, defect):
    root = write(tmp_path, "names: [cat]\ntrain: train/images\n", f"0 0.5 0.5 0.2 0.2\n{line}\n")
    diagnosis = examine(open_dataset(root))
    (finding,) = [f for f in diagnosis.findings if f.name != "empty_class"]
    assert (finding.name, finding.id, finding.file.stem) == (defect, 2, "a")
    assert len(diagnosis.dataset.split("train").samples[0].truth) == (
        2 if defect in ("clipped_box", "swapped_corners") else 1
    )


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("names: [a\ntrain: x", "invalid YAML at line"),
        ("names: 3.5\ntrain: x", "'names' must be"),
        ("names: {a: b}\ntrain: x", "is not a class"),
        ("names: [a]\ntrain: nowhere", "none of its splits was found"),
        ("train: x", "no 'names'"),
    ],
)
def test_an_invalid_yaml_is_a_one_line_error(tmp_path, yaml, expected):
    (tmp_path / "data.yaml").write_text(yaml)
    with pytest.raises(DataError, match=expected) as caught:
        open_dataset(tmp_path)
    assert "\n" not in str(caught.value)


def test_labels_without_names_are_an_error_that_says_so(tmp_path):
    write(tmp_path, "")
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"has neither data\.yaml nor classes\.txt"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "names", "split"),
    [
        (".", ".", "classes.txt", "train"),  # labelImg
        ("images", "labels", "classes.txt", "train"),  # Label Studio
        ("images", "labels", "labels/classes.txt", "train"),
        ("images/train", "labels/train", "classes.txt", "train"),
        ("train/images", "train/labels", "train/labels/classes.txt", "train"),
        ("train", "train", "obj.names", "train"),  # Darknet
    ],
)
def test_a_file_of_names_is_enough_without_a_yaml(tmp_path, images, labels, names, split):
    root = write(tmp_path, "", images=images, labels=labels)
    (root / "data.yaml").unlink()
    (root / names).write_text("cat\n dog \n\n")
    raw = open_dataset(root)
    assert (raw.format, raw.categories.names, [s.name for s in raw.splits]) == ("yolo", ("cat", "dog"), [split])
    assert raw.findings == ()
    assert truth(root).boxes.tolist() == [[30, 10, 50, 30]]
    assert truth(root).labels.tolist() == [1]


def test_splits_beside_each_other_are_found_without_a_yaml(tmp_path):
    for place in ("images/train", "images/val2017", "images/test"):
        write(tmp_path, "", images=place, labels=place.replace("images", "labels"))
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert {s.name: len(s.images.paths) for s in open_dataset(tmp_path).splits} == {"train": 1, "valid": 1, "test": 1}


def bare(root, names="cat\ndog\n", **places):
    """A folder without a YAML."""
    write(root, "", **places)
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text(names)
    return root


def test_a_flat_folder_does_not_include_its_subfolders(tmp_path):
    root = bare(tmp_path, images=".", labels=".")
    write_image(root / "runs" / "mine" / "curves.png", 1, (80, 40))
    (split,) = open_dataset(root).splits
    assert [path.name for path in split.images.paths] == ["a.jpg"]


def test_a_folder_is_a_split_only_by_its_whole_name(tmp_path):
    root = bare(tmp_path, images="images/train", labels="labels/train")
    write(root, "", images="images/old_train", labels="labels/old_train")
    (root / "data.yaml").unlink()
    (root / "test").mkdir()
    assert [split.labels for split in open_dataset(root).splits] == [root / "images" / "train", root / "test"]


def test_an_empty_test_folder_does_not_hide_train(tmp_path):
    root = bare(tmp_path, images="images", labels="labels")
    (root / "test").mkdir()
    assert "train" in [split.name for split in open_dataset(root).splits]


def test_two_folders_for_one_split_are_refused(tmp_path):
    root = bare(tmp_path, images="images/train", labels="labels/train")
    (root / "images" / "train2017").mkdir()
    with pytest.raises(DataError, match="is also a 'train' split"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("names", "expected"),
    [("", "contains no names"), ("cat\n\ndog\n", "line 2 is empty"), (b"\xff\xfe\x00", "not a readable text")],
)
def test_an_invalid_file_of_names_is_a_one_line_error(tmp_path, names, expected):
    root = bare(tmp_path, images="images", labels="labels")
    (root / "classes.txt").write_bytes(names if isinstance(names, bytes) else names.encode())
    with pytest.raises(DataError, match=expected) as caught:
        open_dataset(root)
    assert "\n" not in str(caught.value)


def test_xml_beside_a_stray_label_is_voc(tmp_path):
    root = bare(tmp_path, images=".", labels=".")
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
    (root / "a.xml").write_text(
        f"<annotation><filename>a.jpg</filename><object><name>dog</name>{box}</object></annotation>"
    )
    assert open_dataset(root).format == "voc"


def test_captions_are_not_labels(tmp_path):
    root = bare(tmp_path, images=".", labels=".")
    (root / "a.txt").write_text("a cat on a mat\n")
    with pytest.raises(DataError, match="no data set recognised"):
        open_dataset(root)


def test_a_file_of_names_beside_unlabelled_images_is_not_a_data_set(tmp_path):
    write_image(tmp_path / "a.jpg", 1, (80, 40))
    (tmp_path / "classes.txt").write_text("cat\n")
    with pytest.raises(DataError, match="no data set recognised"):
        open_dataset(tmp_path)


def sizes(root):
    return {split.name: len(split.images.paths) for split in open_dataset(root).splits}


def several(root, *places):
    for seed, place in enumerate(places):
        write_image(root / place, seed, (80, 40))
        label = root / place.replace("images/", "labels/").rsplit(".", 1)[0]
        label.parent.mkdir(parents=True, exist_ok=True)
        label.with_suffix(".txt").write_text("1 0.5 0.5 0.25 0.5\n")
    return root


def test_class_names_are_kept_as_they_are_written(tmp_path):
    names = ["no", "yes", "off", "001", "12:30", "1e3", "null", "0x1F"]
    root = several(tmp_path, "train/images/a.jpg")
    for text in (f"[{', '.join(names)}]", "".join(f"\n  {i}: {name}" for i, name in enumerate(names))):
        (root / "data.yaml").write_text(f"names: {text}\ntrain: train/images\n")
        assert open_dataset(root).categories.names == tuple(names)


def test_keys_of_any_case_and_yaml_without_splits(tmp_path):
    root = several(tmp_path, "images/Train/a.jpg", "images/Validation/b.jpg")
    (root / "data.yaml").write_text("Names: [cat, dog]\nTrain: images/Train\nValidation: images/Validation\n")
    assert sizes(root) == {"train": 1, "valid": 1}
    (root / "data.yaml").write_text("names: [cat, dog]\n")
    assert sizes(root) == {"train": 1, "valid": 1}


def test_a_path_that_the_entries_repeat(tmp_path):
    root = several(tmp_path / "ml" / "set", "train/a.jpg", "val/b.jpg")
    (root / "data.yaml").write_text("path: ml/set\nnames: [cat, dog]\ntrain: ml/set/train\nval: ml/set/val\n")
    assert sizes(root / "data.yaml") == sizes(root) == {"train": 1, "valid": 1}


def test_lists_beside_a_file_of_names_are_the_splits(tmp_path):
    root = several(tmp_path, "images/a.jpg", "images/b.jpg", "images/c.jpg")
    (root / "classes.txt").write_text("cat\ndog\n")
    (root / "train.txt").write_text("images/a.jpg\nimages/b.jpg\n")
    (root / "val.txt").write_text("/content/images/c.jpg\n")
    assert sizes(root) == {"train": 2, "valid": 1}
    assert open_dataset(root).findings == ()  # the labels of one split are no orphans of another
    (root / "labels" / "d.txt").write_text("")
    assert [(f.name, f.file.name) for f in open_dataset(root).findings] == [("orphan_labels", "d.txt")]


def test_darknets_files_name_the_classes_and_splits(tmp_path):
    root = several(tmp_path, "obj/a.jpg", "obj/b.jpg")
    (root / "obj.names").write_text("cat\ndog\n")
    (root / "obj.data").write_text("classes = 2\ntrain = data/train.txt\nvalid = data/test.txt\n")
    (root / "train.txt").write_text("data/obj/a.jpg\n")
    (root / "test.txt").write_text("data/obj/b.jpg\n")
    assert sizes(root) == {"train": 1, "valid": 1}
    assert open_dataset(root).categories.names == ("cat", "dog")


def test_roboflows_darknet_export(tmp_path):
    root = several(tmp_path, "train/a.jpg", "valid/b.jpg")
    for split in ("train", "valid"):
        (root / split / "_darknet.labels").write_text("cat\ndog\n")
    assert sizes(root) == {"train": 1, "valid": 1}


def test_json_that_is_not_coco_does_not_hide_the_labels(tmp_path):
    root = several(tmp_path, "images/a.jpg")
    (root / "classes.txt").write_text("cat\ndog\n")
    (root / "notes.json").write_text('{"categories": [{"id": 0, "name": "cat"}], "info": {"version": "1"}}')
    assert open_dataset(root).format == "yolo"
    (root / "notes.json").write_text('{"classes": [], "projectType": "images"}')
    assert open_dataset(root).format == "yolo"


def test_two_formats_in_one_folder_are_an_error_that_names_both(tmp_path):
    root = several(tmp_path, "images/train/a.jpg")
    (root / "data.yaml").write_text("names: [cat, dog]\ntrain: images/train\n")
    (root / "old.json").write_text('{"info": {"x": "' + "y" * 5000 + '"}, "images": [], "annotations": []}')
    with pytest.raises(DataError, match=r"old\.json \(COCO\) and .*data\.yaml \(YOLO\)"):
        open_dataset(root)
    assert open_dataset(root / "data.yaml").format == "yolo"


@pytest.mark.parametrize(
    "text",
    [
        "train: ./birds/images/train\nval: ./birds/images/val",
        "path: birds\ntrain: images/train\nval: images/val",
        "path: ./birds\ntrain: train.txt\nval: images/val",
    ],
    ids=["entries", "path", "list"],
)
def test_paths_relative_to_the_current_folder_are_found(tmp_path, monkeypatch, text):
    for seed, split in enumerate(("train", "val")):
        write_image(tmp_path / "birds" / "images" / split / f"{split}.jpg", seed)
        labels = tmp_path / "birds" / "labels" / split / f"{split}.txt"
        labels.parent.mkdir(parents=True)
        labels.write_text("0 0.5 0.5 0.2 0.2")
    (tmp_path / "birds" / "train.txt").write_text("./images/train/train.jpg")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "birds.yaml").write_text(f"{text}\nnames: [bird]")
    for given in ("data/birds.yaml", "data"):
        monkeypatch.chdir(tmp_path)
        raw = open_dataset(given)
        assert raw.findings == ()
        assert [(split.name, len(split.objects.image), split.images.outside.any()) for split in raw.splits] == [
            ("train", 1, False),
            ("valid", 1, False),
        ]
        monkeypatch.chdir("/")
        with pytest.raises(DataError, match="none of its splits was found"):
            open_dataset(tmp_path / given)


def test_a_path_that_leaves_the_current_folder_is_not_part_of_the_data_set(tmp_path, monkeypatch):
    write_image(tmp_path / "birds" / "images" / "a.jpg", 1)
    (tmp_path / "work" / "data").mkdir(parents=True)
    (tmp_path / "work" / "data" / "birds.yaml").write_text("train: ../birds/images\nnames: [bird]")
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(DataError, match="none of its splits was found"):
        open_dataset("data/birds.yaml")
