"""Labels cannot make condetr open files outside the data set's folder, unless the user permits it."""

import json
from pathlib import Path

import numpy as np
import pytest

from condetr.datasets.boundary import Boundary
from condetr.datasets.open import open_dataset
from condetr.errors import DataError
from condetr.examining.examine import examine
from condetr.images.decode import open_image
from tests.labelled import coco_content, write_image

BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return write_image(tmp_path / "private" / "secret.png", 99)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def coco(root: Path, name: str) -> Path:
    content = coco_content(1)
    content["images"][0]["file_name"] = name
    write_image(root / "train" / "2.png", 2)
    (root / "train" / "_annotations.coco.json").write_text(json.dumps(content))
    return root


def yolo(root: Path, line: str) -> Path:
    write_image(root / "images" / "2.png", 2)
    (root / "labels").mkdir()
    (root / "labels" / "2.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (root / "train.txt").write_text(f"images/2.png\n{line}\n")
    (root / "data.yaml").write_text("names: [cat]\ntrain: train.txt\n")
    return root


@pytest.mark.parametrize("write", [coco, yolo])
@pytest.mark.parametrize("absolute", [True, False])
def test_an_image_outside_the_folder_is_reported_and_neither_read_nor_drawn(
    root: Path, secret: Path, monkeypatch: pytest.MonkeyPatch, write, absolute: bool
) -> None:
    write(root, str(secret) if absolute else "../../private/secret.png" if write is coco else "../private/secret.png")
    opened = []

    def watch(path: Path, read=Path.read_bytes) -> bytes:
        opened.extend([path.name] * (path.suffix == ".png"))
        return read(path)

    def watch_drawing(path: Path, read=open_image) -> np.ndarray:
        opened.append(path.name)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", watch)
    monkeypatch.setattr("condetr.examining.drawings.open_image", watch_drawing)
    diagnosis = examine(root)
    (finding,) = [finding for finding in diagnosis.findings if finding.name == "outside_folder"]
    assert (finding.file.name, finding.defect.severity, finding.defect.action) == ("secret.png", "error", "quarantine")
    assert opened == ["2.png"]
    assert [sample.path.name for sample in diagnosis.dataset.split("train")] == ["2.png"]
    page = diagnosis.write(root.parent / "report").read_text()
    assert set(opened) <= {"2.png"}
    assert "--follow-outside" in page
    followed = examine(root, follow_outside=True)
    assert {sample.path.name for sample in followed.dataset.split("train")} == {"2.png", "secret.png"}
    assert not [finding for finding in followed.findings if finding.name == "outside_folder"]


def test_a_split_outside_the_folder_is_not_searched(root: Path, secret: Path) -> None:
    yolo(root, "images/2.png")
    (root / "data.yaml").write_text("names: [cat]\ntrain: train.txt\nval: ../private\n")
    raw = open_dataset(root)
    assert [split.name for split in raw.splits] == ["train"]
    assert [(f.name, f.split) for f in raw.findings] == [("outside_folder", "valid")]
    (root / "data.yaml").write_text("names: [cat]\ntrain: ../private\n")
    with pytest.raises(DataError, match="`follow_outside=True`"):
        open_dataset(root)
    (split,) = open_dataset(root, follow_outside=True).splits
    assert [path.name for path in split.images.paths] == ["secret.png"]


def test_labels_beside_the_folder_are_not_read(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_image(root / "a.png", 1)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    (root / "data.yaml").write_text("names: [cat]\ntrain: .\n")
    assert len(open_dataset(root).splits[0].objects.image) == 0


def test_an_xml_file_outside_the_folder_is_not_read(root: Path, secret: Path) -> None:
    xml = f"<annotation><filename>2.png</filename><object><name>cat</name>{BOX}</object></annotation>"
    secret.with_suffix(".xml").write_text(xml.replace("cat", "password"))
    write_image(root / "JPEGImages" / "2.png", 2)
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    (root / "Annotations" / "2.xml").write_text(xml)
    (root / "ImageSets" / "Main" / "train.txt").write_text("2\n../../private/secret\n")
    raw = open_dataset(root)
    assert raw.categories.names == ("cat",)
    assert [(f.name, f.file.name) for f in raw.findings] == [("outside_folder", "secret.xml")]
    assert set(open_dataset(root, follow_outside=True).categories.names) == {"cat", "password"}


def test_all_images_outside_is_a_refusal_that_names_the_permission(root: Path, secret: Path) -> None:
    (root / "labels.json").write_text(json.dumps({**coco_content(1, images=1), "images": [
        {"id": 1, "file_name": "../private/secret.png", "width": 64, "height": 48}
    ]}))  # fmt: skip
    assert "follow_outside, on the command line --follow-outside" in (examine(root).refusal or "")
    assert examine(root, follow_outside=True).refusal is None


def test_links_inside_the_folder_are_followed_once(root: Path, secret: Path) -> None:
    """A linked folder of images is usual; whoever set up the data set made the link."""
    yolo(root, "images/2.png")
    (root / "images" / "camera").symlink_to(secret.parent)
    (secret.parent / "again").symlink_to(secret.parent)
    (root / "images" / "loop").symlink_to(root / "images")
    (root / "data.yaml").write_text("names: [cat]\ntrain: images\n")
    (split,) = open_dataset(root).splits
    assert [path.relative_to(root).as_posix() for path in split.images.paths] == [
        "images/2.png",
        "images/camera/secret.png",
    ]
    assert not split.images.outside.any()


def test_a_yaml_file_given_by_the_user_names_its_folder(root: Path, tmp_path: Path) -> None:
    yolo(root, "images/2.png")
    (tmp_path / "configs").mkdir()
    for place in (root, tmp_path / "configs"):
        (place / "data.yaml").write_text(f"path: {root}\nnames: [cat]\ntrain: images\n")
    raw = open_dataset(tmp_path / "configs" / "data.yaml")
    assert not raw.splits[0].images.outside.any()
    with pytest.raises(DataError, match="`follow_outside=True`"):  # the folder was given, and it holds no images
        open_dataset(tmp_path / "configs")


def test_a_coco_file_in_annotations_has_its_images_beside_that_folder(tmp_path: Path) -> None:
    for i in (1, 2):
        write_image(tmp_path / "images" / f"{i}.png", i)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "train.json").write_text(json.dumps(coco_content(1)))
    assert examine(tmp_path / "annotations" / "train.json").findings == ()


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("a.jpg", True),
        ("images/../a.jpg", True),
        ("../data/a.jpg", True),
        ("../a.jpg", False),
        ("../data2/a.jpg", False),
        ("link/a.jpg", True),
        ("link/../a.jpg", False),  # the folder above the link's target
        ("images/../../a.jpg", False),
    ],
)
def test_what_lies_inside(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, inside: bool) -> None:
    (tmp_path / "elsewhere" / "photos").mkdir(parents=True)
    (root / "images").mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere" / "photos")
    monkeypatch.chdir(root)
    for folder in (root, Path("."), Path("../data")):
        assert Boundary(folder).contains(folder / path) is inside
        assert Boundary(folder).contains(root / path) is inside
        assert Boundary(folder, follow_outside=True).contains(folder / path)
