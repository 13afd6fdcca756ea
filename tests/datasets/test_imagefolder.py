"""Image folders of Hugging Face's `datasets` are read: one file or several, classes by number or by name."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from condetr.datasets.open import open_dataset
from tests.datasets.field import box, image, outcome, write

CARD = """---
dataset_info:
  features:
  - name: objects
    sequence:
    - name: bbox
    - name: category
      dtype:
        class_label:
          names:
            '0': cat
            '1': dog
            '2': no
---
# Birds
"""


def rows(names: list[str], first: int = 0, key: str = "categories", words: bool = False, dicts: bool = False) -> str:
    lines = []
    for i, name in enumerate(names, start=first):
        value = ("cat", "dog")[i % 2] if words else i % 2
        objects: Any = [{"bbox": box(i), key: value}] if dicts else {"bbox": [box(i)], key: [value], "id": [7 + i]}
        image_and_objects = {"file_name": name, "image_id": i, "objects": objects}
        lines.append(json.dumps(image_and_objects))
    return "\n".join(lines) + "\n"


def images(folder: Path, count: int, first: int = 0) -> list[str]:
    names = [f"{i}.png" for i in range(first, first + count)]
    for i, name in enumerate(names, start=first):
        image(folder / name, i)
    return names


def in_each_split(root: Path) -> None:
    write(root / "train" / "metadata.jsonl", rows(images(root / "train", 2)))
    write(root / "validation" / "metadata.jsonl", rows(images(root / "validation", 1, 2), 2, "category"))
    write(root / "README.md", CARD)


def one_for_all(root: Path) -> None:
    names = [f"train/{name}" for name in images(root / "train", 2)]
    names += [f"test/{name}" for name in images(root / "test", 1, 2)]
    write(root / "metadata.jsonl", rows(names, words=True, key="label"))


def alone(root: Path) -> None:
    write(root / "metadata.jsonl", "\n" + rows(images(root, 2), dicts=True, key="category_id"), "utf-8-sig")


def without_classes(root: Path) -> None:
    images(root, 1)
    write(root / "metadata.jsonl", json.dumps({"file_name": "0.png", "objects": {"bbox": [box(0)]}}))


def broken(root: Path) -> None:
    write(root / "metadata.jsonl", rows(images(root, 1)) + "[1]\n")


def test_images_are_known_by_the_names_of_their_files(tmp_path: Path) -> None:
    in_each_split(tmp_path)
    assert [split.images.keys for split in open_dataset(tmp_path).splits] == [(0, 1), (2,)]


def flat(change: Callable[[str, int], dict[str, Any]], name: str = "train/metadata.jsonl") -> Callable[[Path], None]:
    """Builds a folder whose file has in each line what `change` returns for the name and the number of an image."""

    def build(root: Path) -> None:
        names = images((root / name).parent, 2)
        write(
            root / name, "".join(f"{json.dumps(change(one, i), ensure_ascii=False)}\n" for i, one in enumerate(names))
        )

    return build


def objects(**found: Any) -> Callable[[Path], None]:
    return flat(lambda name, i: {"file_name": name, "objects": {key: value(i) for key, value in found.items()}})


def words(i: int) -> list[str]:
    return [("cat", "dog")[i % 2]]


def boxes(i: int) -> list[list[int]]:
    return [box(i)]


def named_in_a_list(root: Path) -> None:
    objects(bbox=boxes, category=lambda i: [str(i)])(root)
    write(root / "README.md", CARD.replace(CARD[CARD.index("            '0'") : CARD.index("---\n# B")], "").replace(
        "names:\n", "names: [cat, dog]\n"))  # fmt: skip


CASES: list[tuple[Callable[[Path], None], str]] = [
    (in_each_split, "imagefolder cat,dog,no train 2 valid 1"),
    (one_for_all, "imagefolder cat,dog train 2 test 1"),
    (alone, "imagefolder class 0,class 1 train 2"),
    (without_classes, "DataError: .*no object has a class"),
    (objects(bboxes=boxes, labels=words), "imagefolder cat,dog train 2"),
    (objects(boxes=boxes, class_labels=words), "imagefolder cat,dog train 2"),
    (objects(bbox=box, category=lambda i: words(i)[0]), "imagefolder cat,dog train 2"),
    (objects(bbox=boxes, category=lambda i: [float(i)]), "imagefolder class 0,class 1 train 2"),
    (named_in_a_list, "imagefolder cat,dog train 2"),
    (flat(lambda name, i: {"image": name, "bbox": boxes(i), "label": words(i)}), "imagefolder cat,dog train 2"),
    (
        flat(
            lambda name, i: {
                "file_name": name,
                "split": ("train", "validation")[i],
                "objects": {"bbox": boxes(i), "label": words(i)},
            },
            "metadata.jsonl",
        ),
        "imagefolder cat,dog train 1 valid 1",
    ),
    (
        flat(lambda name, i: {"image": {"path": name}, "annotations": [{"bbox": box(i), "category": words(i)[0]}]}),
        "imagefolder cat,dog train 2",
    ),
    (
        flat(
            lambda name, i: {
                "file_name": name,
                "note": "a\u2028b\x85",
                "objects": {"bbox": boxes(i), "label": words(i)},
            },
            "data/validation/Metadata.JSONL",
        ),
        "imagefolder cat,dog valid 2",
    ),
    (broken, "DataError: .*metadata.jsonl: line 2 is not a JSON object"),
]


@pytest.mark.parametrize(
    ("build", "expected"), CASES, ids=[f"{i}-{build.__name__}" for i, (build, _) in enumerate(CASES)]
)
def test_image_folders_are_read(build: Callable[[Path], None], expected: str, tmp_path: Path) -> None:
    build(tmp_path)
    assert re.match(f"{expected}$" if "Error" not in expected else expected, outcome(tmp_path)[0])


def test_the_documented_script_converts_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    (script,) = (part for part in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "import csv" in part)
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for i, name in enumerate(images(tmp_path / "birds" / "train", 2)):
        x, y, w, h = box(i)
        lines.append(f"{name},64,48,{('cat', 'dog')[i]},{x},{y},{x + w},{y + h}")
    write(tmp_path / "birds" / "train" / "_annotations.csv", "\n".join(lines))
    assert "the page on data sets has a script" in outcome(tmp_path / "birds")[0]
    monkeypatch.chdir(tmp_path)
    exec(script, {})
    assert outcome(tmp_path / "birds")[0] == "imagefolder cat,dog train 2"


def test_the_file_itself_can_be_given(tmp_path: Path) -> None:
    in_each_split(tmp_path)
    assert outcome(tmp_path / "train" / "metadata.jsonl")[0] == "imagefolder cat,dog,no train 2"


def form(root: Path, change: Callable[[list[int]], list[int]], encoding: str = "utf-8", **more: Any) -> set[str]:
    """The findings of eight images without sizes, whose boxes are written in another form."""
    lines = []
    for i in range(8):
        x, y, w, h = box(i)
        one = {"bbox": [change([x, y, w, h])], "categories": [i % 2], **more}
        lines.append(json.dumps({"file_name": image(root / "train" / f"{i}.png", i).name, "objects": one}))
    write(root / "train" / "metadata.jsonl", "\n".join(lines), encoding)
    return outcome(root)[1]


def corners(sides: list[int]) -> list[int]:
    x, y, w, h = sides
    return [x, y, x + w, y + h]


@pytest.mark.parametrize("area", [[], [120]])
def test_corners_are_reported_without_sizes_and_areas(area: list[int], tmp_path: Path) -> None:
    assert "corner_boxes" in form(tmp_path, corners, area=area)


def test_areas_tell_corners_that_exceed_no_image(tmp_path: Path) -> None:
    def small(sides: list[int]) -> list[int]:
        return corners([sides[0] // 4, sides[1] // 2, 12, 10])

    (tmp_path / "set").mkdir()
    assert "corner_boxes" in form(tmp_path / "set", small, area=[120])
    (tmp_path / "other").mkdir()
    assert "corner_boxes" not in form(tmp_path / "other", lambda sides: sides, area=[120])


def test_crowds_and_utf_16(tmp_path: Path) -> None:
    assert "crowd_box" in form(tmp_path, lambda sides: sides, "utf-16", iscrowd=[1])
