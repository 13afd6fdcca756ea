"""Pascal VOC: the devkit and its lists, split folders, names in alphabetical order or from a file."""

import pytest

from condetr.datasets.open import open_dataset
from condetr.errors import DataError
from condetr.examining.examine import examine
from tests.labelled import write_image


def xml(name="a.jpg", things=(("dog", 5, 6, 20, 30),), size=(64, 48), database="Unknown", difficult=0):
    boxes = "".join(
        f"<object><name>{word}</name><difficult>{difficult}</difficult><bndbox><xmin>{a}</xmin><ymin>{b}</ymin>"
        f"<xmax>{c}</xmax><ymax>{d}</ymax></bndbox><part><bndbox><xmin>1</xmin></bndbox></part></object>"
        for word, a, b, c, d in things
    )
    return (
        f"<annotation><filename>{name}</filename><source><database>{database}</database></source>"
        f"<size><width>{size[0]}</width><height>{size[1]}</height></size>{boxes}</annotation>"
    )


def devkit(root, labels, lists):
    for seed, (stem, text) in enumerate(labels.items()):
        write_image(root / "JPEGImages" / f"{stem}.jpg", seed)
        (root / "Annotations").mkdir(parents=True, exist_ok=True)
        (root / "Annotations" / f"{stem}.xml").write_text(text)
    for name, stems in lists.items():
        (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text("\n".join(stems))


@pytest.mark.parametrize("below", [".", "VOC2007", "VOCdevkit/VOC2007"])
def test_the_devkit_and_its_lists(tmp_path, below):
    labels = {"a": xml(), "b": xml(things=[("cat", 1, 2, 9, 9)]), "c": xml()}
    devkit(tmp_path / below, labels, {"train": ["a"], "val": ["b"], "trainval": ["a", "b"], "dog_train": ["a  1"]})
    raw = open_dataset(tmp_path)
    assert raw.format == "voc"
    assert (raw.categories.ids, raw.categories.names) == ((0, 1), ("cat", "dog"))
    assert [(split.name, [p.name for p in split.images.paths]) for split in raw.splits] == [
        ("train", ["a.jpg"]),
        ("valid", ["b.jpg"]),
    ]


@pytest.mark.parametrize(
    "line", ["my cat", "my cat.jpg", "my cat.JPG", "my cat  1"], ids=["plain", "suffix", "capitals", "number"]
)
def test_a_list_names_images_in_several_ways(tmp_path, line):
    stem = "my" if line.endswith("1") else "my cat"
    devkit(tmp_path, {stem: xml()}, {"train": [line]})
    diagnosis = examine(open_dataset(tmp_path))
    assert diagnosis.findings == ()
    assert [sample.path.stem for sample in diagnosis.dataset.split("train")] == [stem]


def test_lists_without_any_existing_file_are_a_one_line_error(tmp_path):
    devkit(tmp_path, {"a": xml()}, {"train": ["b"]})
    with pytest.raises(DataError, match=r"none of its XML files can be read: .*b\.xml: in the list of the split"):
        open_dataset(tmp_path)


def test_hidden_files_of_macos_are_not_label_files(tmp_path):
    devkit(tmp_path, {"a": xml()}, {})
    (tmp_path / "Annotations" / "._a.xml").write_bytes(b"\0\5\x16\7")
    assert open_dataset(tmp_path).findings == ()


def test_split_folders_with_xml_beside_the_images(tmp_path):
    for seed, split in enumerate(("train", "valid")):
        write_image(tmp_path / split / "a.jpg", seed)
        (tmp_path / split / "a.xml").write_text(xml())
    diagnosis = examine(open_dataset(tmp_path))
    assert diagnosis.findings == ()
    assert [sample.truth.boxes.tolist() for sample in diagnosis.dataset.split("valid").samples] == [[[5, 6, 20, 30]]]


def test_the_devkits_own_boxes_count_from_1_and_include_the_last_pixel(tmp_path):
    devkit(tmp_path, {"a": xml(things=[("dog", 1, 1, 64, 48)], database="The VOC2007 Database")}, {})
    assert open_dataset(tmp_path).splits[0].objects.boxes.tolist() == [[0, 0, 64, 48]]


def test_a_class_file_gives_the_order_and_the_limits(tmp_path):
    devkit(tmp_path, {"a": xml(things=[("dog", 5, 6, 20, 30), ("bird", 1, 1, 9, 9)])}, {})
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    raw = open_dataset(tmp_path)
    assert raw.categories.names == ("dog", "cat")
    assert [(f.name, f.file.name, f.id) for f in raw.findings] == [("unknown_category", "a.xml", 2)]


def test_difficult_objects_are_treated_as_crowd_regions(tmp_path):
    devkit(tmp_path, {"a": xml(difficult=1)}, {})
    assert open_dataset(tmp_path).splits[0].objects.crowd.tolist() == [True]


@pytest.mark.parametrize(
    "text",
    ["<annotation><object>", "", '<!DOCTYPE x [<!ENTITY e "x">]><annotation>&e;</annotation>', "\x00\xff"],
    ids=["cut short", "empty", "entities", "binary"],
)
def test_a_broken_xml_is_reported_and_its_image_left_out(tmp_path, text):
    devkit(tmp_path, {"a": xml(), "b": text}, {})
    raw = open_dataset(tmp_path)
    assert [(f.name, f.file.name) for f in raw.findings] == [("malformed_file", "b.xml")]
    assert [path.name for path in raw.splits[0].images.paths] == ["a.jpg"]


def test_an_object_without_a_box_is_reported(tmp_path):
    text = xml().replace("<xmin>5</xmin>", "<xmin>five</xmin>")
    devkit(tmp_path, {"a": xml(), "b": text}, {"train": ["a", "b", "c"]})
    findings = [(f.name, f.file.name, f.id) for f in open_dataset(tmp_path).findings]
    assert findings == [("malformed_entry", "b.xml", 1), ("malformed_file", "c.xml", None)]


def test_real_files_with_defects(real_data, tmp_path):
    for file in (real_data / "bad_annotations" / "raw").glob("*.xml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for file in (real_data / "bad_annotations" / "train").glob("*.jpg"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    diagnosis = examine(open_dataset(tmp_path))
    names = {(f.name, f.file.name) for f in diagnosis.findings if f.file is not None}
    assert ("empty_box", "BloodImage_00338.xml") in names
    assert ("size_missing", "apple_79.jpg") in names
    assert ("wrong_extension", "dayride_type1_001.mp4#t=1058.jpg") in names


def splits(root):
    return {
        split.name: [path.relative_to(root).as_posix() for path in split.images.paths]
        for split in open_dataset(root).splits
    }


@pytest.mark.parametrize(
    ("train", "valid"),
    [
        ("ImageSets/Main/Train.txt", "ImageSets/Main/Validation.txt"),
        ("ImageSets/train.txt", "ImageSets/val.txt"),
        ("train.txt", "valid.txt"),
    ],
)
@pytest.mark.parametrize("line", ["{}", "JPEGImages/{0}.jpg Annotations/{0}.xml"])
def test_lists_of_any_case_and_place_are_the_splits(tmp_path, train, valid, line):
    devkit(tmp_path, {"a": xml(), "b": xml(), "c": xml()}, {})
    for name, stems in ((train, "ab"), (valid, "c")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("\n".join(line.format(stem) for stem in stems))
    assert splits(tmp_path) == {"train": ["JPEGImages/a.jpg", "JPEGImages/b.jpg"], "valid": ["JPEGImages/c.jpg"]}


def test_other_text_files_are_not_lists_of_a_split(tmp_path):
    devkit(tmp_path, {"a": xml(), "b": xml()}, {})
    (tmp_path / "test.txt").write_text("notes on our test bench\n")
    (tmp_path / "label_list.txt").write_text("cat\ndog\n")
    assert splits(tmp_path) == {"train": ["JPEGImages/a.jpg", "JPEGImages/b.jpg"]}
    assert open_dataset(tmp_path).categories.names == ("cat", "dog")


def test_each_year_of_a_devkit_keeps_its_own_images(tmp_path):
    for year in ("VOC2007", "VOC2012"):
        devkit(tmp_path / "VOCdevkit" / year, {"0": xml("0.jpg")}, {"train": ["0"]})
    assert splits(tmp_path) == {"train": [f"VOCdevkit/{year}/JPEGImages/0.jpg" for year in ("VOC2007", "VOC2012")]}


@pytest.mark.parametrize("written", ["a.jpg", "", "x.jpg"])
def test_a_mask_with_the_name_of_the_image_is_not_taken_for_it(tmp_path, written):
    for suffix in (".jpg", ".png"):
        write_image(tmp_path / "train" / f"a{suffix}", 1)
    (tmp_path / "train" / "a.xml").write_text(xml(written))
    assert splits(tmp_path) == {"train": ["train/a.jpg"]}


@pytest.mark.parametrize(
    ("labels", "images"),
    [
        ("Annotations/cam0/1.xml Annotations/cam1/1.xml", "JPEGImages/cam0/1.jpg JPEGImages/cam1/1.jpg"),
        ("annotations/xmls/1.xml annotations/xmls/2.xml", "images/1.jpg images/2.jpg"),
        ("labels/1.xml labels/2.xml", "data/1.jpg data/2.jpg"),
    ],
    ids=["CVAT's subfolders", "Oxford pets", "FiftyOne"],
)
def test_layouts_in_use(tmp_path, labels, images):
    for seed, (label, image) in enumerate(zip(labels.split(), images.split())):
        write_image(tmp_path / image, seed)
        (tmp_path / label).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / label).write_text(xml(image.rsplit("/")[-1]))
    assert splits(tmp_path) == {"train": images.split()}


@pytest.mark.parametrize("encoding", ["gb2312", "utf-16", "iso-8859-1", "utf-8"])
def test_the_declared_encoding_is_decoded(tmp_path, encoding):
    name = "caf\u00e9" if encoding == "iso-8859-1" else "\u732b"
    write_image(tmp_path / "train" / "a.jpg", 1)
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + xml(things=[(name, 5, 6, 20, 30)])
    (tmp_path / "train" / "a.xml").write_bytes(text.encode(encoding))
    assert open_dataset(tmp_path).categories.names == (name,)


def test_label_files_in_no_list_are_reported(tmp_path):
    devkit(tmp_path, {stem: xml() for stem in "abcdef"}, {"train": ["a"], "val": ["b"]})
    found = [(f.name, f.detail) for f in open_dataset(tmp_path).findings]
    assert found == [("unlisted_labels", "4 label files are in no list: c.xml, d.xml, e.xml, …")]


def test_without_lists_no_label_file_is_unlisted(tmp_path):
    devkit(tmp_path, {stem: xml() for stem in "ab"}, {})
    assert open_dataset(tmp_path).findings == ()


@pytest.mark.parametrize(
    "rows",
    ["filename,width\na.jpg,64\nb.jpg,64\n", "image_id\na\nb\n", '"a.jpg";64\n"b.jpg";64\n', "a\tdog\nb\tcat\n"],
    ids=["header and columns", "header", "semicolons", "tabs"],
)
def test_a_table_lists_a_split(tmp_path, rows):
    devkit(tmp_path, {"a": xml(), "b": xml(), "c": xml()}, {})
    suffix = ".tsv" if "\t" in rows else ".csv"
    (tmp_path / f"train{suffix}").write_text(rows)
    (tmp_path / "val.csv").write_text("c.jpg\n")
    assert splits(tmp_path) == {"train": ["JPEGImages/a.jpg", "JPEGImages/b.jpg"], "valid": ["JPEGImages/c.jpg"]}
    assert open_dataset(tmp_path).findings == ()


def test_a_text_goes_before_a_table(tmp_path):
    devkit(tmp_path, {"a": xml(), "b": xml(), "c": xml()}, {"train": ["a", "b"], "val": ["c"]})
    (tmp_path / "ImageSets" / "Main" / "train.csv").write_text("filename\nc.jpg\n")
    assert splits(tmp_path) == {"train": ["JPEGImages/a.jpg", "JPEGImages/b.jpg"], "valid": ["JPEGImages/c.jpg"]}
