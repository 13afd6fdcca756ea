"""Every defect is reported with its name, place and action; no broken input raises anything but DataError."""

import copy
import json
import os
import re
import weakref
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from condetr.datasets.defects import DEFECTS
from condetr.errors import DataError
from condetr.examining.cache import FactsCache, facts_folder
from condetr.examining.examine import examine
from condetr.examining.inspection import inspect_images, inspect_pixels
from condetr.examining.orientation import orient
from condetr.examining.page import page
from condetr.images.decode import UPRIGHT, open_image
from tests.labelled import HEIGHT, WIDTH, coco_content, write_image


def found(diagnosis):
    return [(f.name, f.split, f.file.name if f.file else "", f.id) for f in diagnosis.findings]


def first(diagnosis, split="train"):
    return diagnosis.dataset.split(split).samples[0].truth


def test_sound_data_have_no_findings(roboflow):
    diagnosis = examine(roboflow(train=coco_content(1), valid=coco_content(8)))
    assert diagnosis.findings == ()
    assert diagnosis.refusal is None
    assert diagnosis.trainable() is diagnosis.dataset
    assert diagnosis.class_histogram()["train"].tolist() == [2, 2]
    assert diagnosis.size_histogram() == {"train": (4, 0, 0), "valid": (4, 0, 0)}


def test_images_that_no_split_lists_are_noted_together(roboflow):
    root = roboflow(train=coco_content(1), valid=coco_content(8))
    mask = next((root / "train").glob("*.png")).with_suffix(".bmp")
    for file in (root / "train" / "x.png", root / "valid" / "y.JPG", root / "valid" / ".hidden.png", mask):
        file.write_bytes(b"")
    (finding,) = examine(root).findings
    assert (finding.name, finding.detail) == ("unlisted_images", "2 images: x.png, y.JPG")


@pytest.mark.parametrize(
    ("change", "defect", "left"),
    [
        ({"bbox": [4, 5, 0, 6]}, "empty_box", 1),
        ({"bbox": [14, 5, -8, 6]}, "swapped_corners", 2),
        ({"bbox": [14, 15, -8, -6]}, "swapped_corners", 2),
        ({"bbox": [14, 5, 0, -6]}, "empty_box", 1),
        ({"bbox": [0, 0, -1, -1]}, "outside_box", 1),  # for "none"
        ({"bbox": [4, 5, float("nan"), 6]}, "not_finite_box", 1),
        ({"bbox": [4, 5, float("inf"), 6]}, "not_finite_box", 1),
        ({"bbox": [1e308, 5, 1e308, 6]}, "not_finite_box", 1),
        ({"bbox": [64, 5, 8, 6]}, "outside_box", 1),
        ({"bbox": [-20, 5, 8, 6]}, "outside_box", 1),
        ({"bbox": [60, 5, 20, 6]}, "clipped_box", 2),
        ({"bbox": [-0.5, 5, 20, 6]}, "rounded_box", 2),
        ({"bbox": [4, 5, 2, 6]}, "tiny_box", 2),
        ({"bbox": [13, 5, 8, 6], "category_id": 2}, "duplicate_box", 1),
        ({"iscrowd": 1}, "crowd_box", 2),
        ({"category_id": 77}, "unknown_category", 1),
        ({"category_id": None}, "malformed_entry", 1),
        ({"bbox": [1, 2, 3]}, "malformed_entry", 1),
        ({"bbox": "1 2 3 four"}, "malformed_entry", 1),
        ({"bbox": [1, 2, 3, 4, 0.5]}, "malformed_entry", 1),
        ({"image_id": 99}, "orphan_annotation", 1),
    ],
)
def test_a_defective_object_is_reported_and_fixed_or_dropped(roboflow, change, defect, left):
    content = coco_content(1, boxes=2)
    content["annotations"][0] |= {"id": 501, **change}
    diagnosis = examine(roboflow(train=content))
    named = [f for f in diagnosis.findings if f.name == defect]
    assert len(named) == 1
    assert named[0].id == (2 if defect == "duplicate_box" else 501)
    assert named[0].file.name in ("1.png", "_annotations.coco.json")
    truth = first(diagnosis)
    assert len(truth) == left
    assert (truth.boxes[:, :2] >= 0).all()
    assert (truth.boxes[:, 2:] <= [WIDTH, HEIGHT]).all()
    assert (truth.boxes[:, 2:] > truth.boxes[:, :2]).all()


def test_repeated_ids_are_reported(roboflow):
    content = coco_content(1)
    content["annotations"][1]["id"] = 1
    content["images"].append({**content["images"][0], "file_name": "other.png"})
    names = found(examine(roboflow(train=content)))
    assert ("duplicate_annotation_id", "train", "_annotations.coco.json", 1) in names
    assert ("duplicate_image_id", "train", "_annotations.coco.json", 1) in names


def break_missing(path):
    path.unlink()


def break_truncated(path):
    path.write_bytes(path.read_bytes()[:-2000])


def break_text(path):
    path.write_text("this is no image")


def break_folder(path):
    path.unlink()
    path.mkdir()


def break_pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("broken", "defect"),
    [
        (break_missing, "missing_image"),
        (break_truncated, "truncated_image"),
        (break_text, "unreadable_image"),
        (break_folder, "unreadable_image"),
        (break_pipe, "unreadable_image"),
    ],
)
def test_a_broken_image_is_reported_and_left_out(roboflow, broken, defect):
    root = roboflow(train=coco_content(1))
    broken(root / "train" / "1.png")
    diagnosis = examine(root)
    assert (defect, "train", "1.png", 1) in found(diagnosis)
    assert [sample.path.name for sample in diagnosis.dataset.split("train").samples] == ["2.png"]


@pytest.mark.parametrize("decode_pixels", [True, False])
def test_an_impossible_file_name_is_reported(roboflow, decode_pixels):
    content = coco_content(1)
    root = roboflow(train=content)
    content["images"][0]["file_name"] = "x" * 5000
    (root / "train" / "_annotations.coco.json").write_text(json.dumps(content))
    names = [finding.name for finding in examine(root, decode_pixels=decode_pixels).findings]
    assert set(names) & {"missing_image", "unreadable_image"}


def test_the_content_of_a_file_not_its_suffix_decides_its_format(roboflow):
    root = roboflow(train=coco_content(1))
    Image.open(root / "train" / "1.png").save(root / "x.jpg")
    (root / "x.jpg").rename(root / "train" / "1.png")
    diagnosis = examine(root)
    assert found(diagnosis) == [("wrong_extension", "train", "1.png", 1)]
    assert len(diagnosis.dataset.split("train")) == 2


def test_without_any_image_training_is_refused_and_the_searched_folder_named(roboflow):
    root = roboflow(train=coco_content(1))
    for path in (root / "train").glob("*.png"):
        path.unlink()
    diagnosis = examine(root)
    assert "of 2 images none was found (looked in " in diagnosis.refusal
    with pytest.raises(DataError, match="of 2 images none was found"):
        diagnosis.trainable()


def test_a_data_set_without_train_can_be_evaluated_but_not_trained_on(roboflow):
    diagnosis = examine(roboflow(test=coco_content(1)))
    assert diagnosis.refusal == "there is no training split (splits: test)"
    assert len(diagnosis.dataset.split("test")) == 2


# --- orientation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_follow_the_orientation_of_their_image(orientation):
    pixels = np.zeros((48, 64), np.uint8)
    pixels[5:11, 4:24] = 255
    image = Image.fromarray(pixels)
    upright = np.array(image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image)
    y, x = np.nonzero(upright)
    seen = [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert orient(np.array([[4.0, 5.0, 24.0, 11.0]]), orientation, (64, 48)).tolist() == [seen]


@pytest.mark.parametrize(
    ("declared", "orientation", "bbox", "defect", "expected"),
    [
        ((48, 64), 6, [4, 5, 8, 6], None, [4, 5, 12, 11]),  # drawn on the upright image
        ((64, 48), 6, [4, 5, 8, 6], "turned_boxes", [37, 4, 43, 12]),  # drawn on the stored image
        ((64, 48), 3, [4, 5, 8, 6], "orientation_ambiguous", [4, 5, 12, 11]),
        ((128, 96), 1, [8, 10, 16, 12], "size_scaled", [4, 5, 12, 11]),
        ((32, 24), 1, [4, 5, 8, 6], "size_scaled", [8, 10, 24, 22]),
        ((32, 24), 1, [40, 5, 8, 6], "size_mismatch", [40, 5, 48, 11]),  # fits the real size alone
        ((48, 64), 1, [4, 5, 8, 6], "size_mismatch", [4, 5, 12, 11]),  # width and height swapped by an exporter
        ((48, 64), 1, [4, 50, 8, 6], "size_contradiction", None),
        ((65, 48), 1, [4, 5, 8, 6], "size_mismatch", [4, 5, 12, 11]),
        ((0, 0), 1, [4, 5, 8, 6], "size_missing", [4, 5, 12, 11]),
        ((0, 0), 6, [4, 5, 8, 6], "size_missing", [4, 5, 12, 11]),
        (("?", None), 1, [4, 5, 8, 6], "size_missing", [4, 5, 12, 11]),
    ],
)
def test_the_declared_size_decides_the_frame_of_the_boxes(roboflow, declared, orientation, bbox, defect, expected):
    content = coco_content(1, boxes=1)
    content["annotations"][0]["bbox"] = bbox
    content["images"][0] |= {"width": declared[0], "height": declared[1], "file_name": "1.jpg"}
    root = roboflow(train=content)
    write_image(root / "train" / "1.jpg", 5, (64, 48), orientation)
    for decode_pixels in (True, False):
        diagnosis = examine(root, decode_pixels=decode_pixels)
        assert [f.name for f in diagnosis.findings if f.file and f.file.name == "1.jpg"] == ([defect] if defect else [])
        samples = {sample.path.name: sample.truth for sample in diagnosis.dataset.split("train").samples}
        assert ("1.jpg" in samples) == (expected is not None)
        if expected:
            assert samples["1.jpg"].boxes.tolist() == [expected]
            assert samples["1.jpg"].size == ((48, 64) if orientation == 6 else (64, 48))


# --- duplicates -------------------------------------------------------------------------------------------------------


def test_a_training_image_that_is_also_held_out_is_left_out(roboflow):
    root = roboflow(train=coco_content(1, images=5), valid=coco_content(10), test=coco_content(20))
    pixels = Image.open(root / "valid" / "10.png")
    pixels.save(root / "train" / "2.png", compress_level=1)  # other bytes, the same image
    pixels.save(root / "test" / "21.png")
    diagnosis = examine(root)
    assert ("leak", "train", "2.png", None) in found(diagnosis)
    assert ("leak_held_out", "valid", "10.png", None) in found(diagnosis)
    assert [sample.path.name for sample in diagnosis.dataset.split("train").samples] == [
        "1.png", "3.png", "4.png", "5.png",
    ]  # fmt: skip
    assert len(diagnosis.dataset.split("valid")) == 2


def test_identical_splits_are_reported_once_and_kept(roboflow):
    root = roboflow(train=coco_content(1), valid=coco_content(1))
    for i in (1, 2):
        Image.open(root / "train" / f"{i}.png").save(root / "valid" / f"{i}.png")
    diagnosis = examine(root)
    assert found(diagnosis) == [("splits_identical", "train", "", None)]
    assert len(diagnosis.dataset.split("train")) == 2


def test_duplicates_in_a_split_and_copies_of_one_source_are_reported(roboflow):
    train, valid = coco_content(1, images=3), coco_content(10)
    train["images"][0]["file_name"], valid["images"][0]["file_name"] = "a_jpg.rf.1.png", "a_jpg.rf.2.png"
    root = roboflow(train=train, valid=valid)
    Image.open(root / "train" / "2.png").save(root / "train" / "3.png")
    assert found(examine(root)) == [
        ("duplicate_image", "train", "3.png", None),
        ("leak_by_source", "valid", "a_jpg.rf.2.png", None),
    ]


def test_too_many_objects_and_classes_without_objects_are_reported(roboflow):
    train, valid = coco_content(1, boxes=4, categories=(1, 2)), coco_content(10, boxes=0, images=1)
    train["categories"].append({"id": 9, "name": "never"})
    names = found(examine(roboflow(train=train, valid=valid), queries=3))
    assert [name for name in names if name[0] == "too_many_objects"] == [
        ("too_many_objects", "train", f"{i}.png", i) for i in (1, 2)
    ]
    assert ("empty_class", "train", "", 9) in names
    assert ("no_objects", "valid", "10.png", 10) in names
    assert ("class_missing", "valid", "", 1) in names


def test_a_sound_image_is_opened_once_and_a_changed_one_again(tmp_path):
    opened = []

    def inspect(path):
        opened.append(path.name)
        return inspect_pixels(path)

    def inspected():
        return inspect_images(paths, inspect, FactsCache(tmp_path / "cache", "pixels"))

    paths = [write_image(tmp_path / f"{i}.png", i) for i in range(3)]
    before = inspected()
    assert inspected() == before
    assert sorted(opened) == ["0.png", "1.png", "2.png"]
    write_image(paths[1], 9, (20, 20))
    after = inspected()
    assert opened[3:] == ["1.png"]
    assert after[1].upright == (20, 20)
    for file in (tmp_path / "cache").iterdir():
        file.write_text('{"0.png": [1, 2], "1.png": null, "2.png": "x"}')
    assert inspected() == after


def test_without_a_home_folder_nothing_is_cached(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pathlib.Path.home", no_home)
    assert facts_folder() is None


def test_the_page_holds_one_decoded_image_at_a_time(roboflow, monkeypatch):
    content = coco_content(1, images=6)
    for annotation in content["annotations"]:
        annotation["bbox"][2] = 100  # exceeds the image
    diagnosis = examine(roboflow(train=content))
    alive = []
    most = 0

    def opened(path):
        nonlocal most
        image = open_image(path)
        alive.append(weakref.ref(image))
        most = max(most, sum(reference() is not None for reference in alive))
        return image

    monkeypatch.setattr("condetr.examining.drawings.open_image", opened)
    assert page(diagnosis).html().count("data:image/png") == len(alive) == 6
    assert most == 1


# --- real data --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bccd", "cards", "deeppcb", "tinycoco"])
def test_counts_of_real_data(real_data, name):
    stats = json.loads((real_data / name / "STATS.json").read_text())
    diagnosis = examine(real_data / name, decode_pixels=False)
    got = {
        c.split: {"images": c.used_images, "boxes": c.used_objects, "empty": c.without_objects}
        for c in diagnosis.counts
    }
    assert got == stats["splits"]
    assert sum(c.crowds for c in diagnosis.counts) == stats["quirks"].get("iscrowd", 0)
    totals = Counter()
    for split in diagnosis.dataset.splits.values():
        for sample in split:
            totals.update(diagnosis.dataset.categories.name(int(label)) for label in sample.truth.labels)
    assert totals == stats["classes"]
    assert {f.name for f in diagnosis.findings} <= {
        "crowd_box", "tiny_box", "no_objects", "empty_class", "class_missing",
    }  # fmt: skip


def test_real_annotations_with_defects(real_data):
    diagnosis = examine(real_data / "bad_annotations")
    assert Counter(f.name for f in diagnosis.findings) == {
        "size_missing": 12, "tiny_box": 6, "empty_class": 3, "empty_box": 2, "wrong_extension": 2, "no_objects": 2,
        "truncated_image": 1,
    }  # fmt: skip
    assert ("truncated_image", "train", "kangaroo_00090.jpg", 17) in found(diagnosis)
    assert diagnosis.counts[0].used_images == 19


# --- arbitrary input --------------------------------------------------------------------------------------------------

junk = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.integers(), st.floats(), st.text(max_size=5),
    st.lists(st.floats(), max_size=5), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from(["../1.png", "1.png", "/dev/null", "a\0b", "x" * 5000, 2**70, 1e400, "nan"]),
)  # fmt: skip


def places(value, path=()):
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, key))


PLACES = list(places(coco_content(1)))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    for i in (1, 2):
        write_image(folder / f"{i}.png", i)
    return folder


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.one_of(st.just("remove"), junk)), min_size=1, max_size=4))
def test_any_mutation_gives_a_diagnosis_or_a_one_line_error(images, mutations):
    content = copy.deepcopy(coco_content(1))
    for path, value in mutations:
        at = content
        try:
            for key in path[:-1]:
                at = at[key]
            if not path:
                content = value
            elif value == "remove":
                del at[path[-1]]
            else:
                at[path[-1]] = value
        except (KeyError, IndexError, TypeError, ValueError):
            continue
    (images / "labels.json").write_text(json.dumps(content))
    check_invariants(images / "labels.json")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damaged_bytes_give_a_diagnosis_or_a_one_line_error(images, data):
    whole = bytearray(json.dumps(coco_content(1)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    (images / "labels.json").write_bytes(bytes(whole))
    check_invariants(images / "labels.json")


def check_invariants(path):
    try:
        diagnosis = examine(path, queries=1, decode_pixels=False)
    except DataError as error:
        assert "\n" not in str(error)
        return
    for finding in diagnosis.findings:
        assert finding.name in DEFECTS
    for split in diagnosis.dataset.splits.values():
        for sample in split:
            boxes = sample.truth.boxes
            assert np.isfinite(boxes).all()
            assert (boxes[:, 2:] > boxes[:, :2]).all()
            assert (boxes >= 0).all()
            assert (boxes <= [*sample.truth.size] * 2).all()
            assert (sample.truth.labels < len(diagnosis.dataset.categories)).all()
            assert np.isfinite(sample.truth.areas).all()


def test_places_can_be_opened_and_name_lines(tmp_path):
    """`#3` was the line of a file, the number of an image and that of an annotation."""
    for name in ("a", "b"):
        write_image(tmp_path / "images" / f"{name}.png", ord(name))
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{name}.txt").write_text(
            "0 0.5 0.5 0.2 0.2\n\n0 0.5 0.5 0 0.2\n0 a\n9 0.5 0.5 0.1 0.1\n"
        )
    (tmp_path / "data.yaml").write_text("names: [cat, dog]\ntrain: images\n")
    diagnosis = examine(tmp_path)
    assert all(finding.file is None or finding.file.is_file() for finding in diagnosis.findings)
    places = {finding.name: finding.place(tmp_path) for finding in diagnosis.findings}
    assert places == {
        "empty_box": "labels/b.txt:3", "malformed_entry": "labels/b.txt:4", "unknown_category": "labels/b.txt:5",
        "empty_class": "train",
    }  # fmt: skip
    html = page(diagnosis).html()
    assert "labels/a.txt:3" in html
    narrow = re.findall(r'<th scope="col"(?: class="([^"]*)")?><button type="button">([^<]*)', html)[:10]
    assert [title for kind, title in narrow if "wide" not in kind] == ["split", "images used", "objects used"]
    assert "--most:594px" in html  # the chart of the classes, whose text is readable at 390 pixels
    assert "a.txt #" not in html
    assert html.count('data-layer="defective"') == 4
    assert re.search(r"<figcaption>images/a.png: [a-z ,]*unknown category[a-z ,]*</figcaption>", html)
    assert '<em class="tag error">error</em>' in html


def test_ids_of_images_and_annotations_are_named(roboflow):
    content = coco_content(1)
    content["annotations"][0] |= {"id": 3, "bbox": [4, 5, 0, 6]}
    content["images"].append({**content["images"][1], "file_name": "3.png"})
    root = roboflow(train=content)
    places = {finding.name: finding.place(root) for finding in examine(root).findings}
    assert places["empty_box"] == "train/1.png, annotation 3"
    assert places["duplicate_image_id"] == "train/_annotations.coco.json, image 2"


def test_the_page_of_sound_data_shows_labelled_images_of_every_class(roboflow):
    content = coco_content(1, images=30, boxes=1)
    content["annotations"][-1]["category_id"] = 2
    html = page(examine(roboflow(train=content))).html()
    assert "Labelled images" in html
    assert html.count("data:image/png") == 12
    assert 'data-caption="class 2"' in html
    assert "Images with the worst defects" not in html
