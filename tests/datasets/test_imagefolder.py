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


CASES: list[tuple[Callable[[Path], None], str]] = [
    (in_each_split, "imagefolder cat,dog,no train 2 valid 1"),
    (one_for_all, "imagefolder cat,dog train 2 test 1"),
    (alone, "imagefolder class 0,class 1 train 2"),
    (without_classes, "DataError: .*no object has a class"),
    (broken, "DataError: .*metadata.jsonl: line 2 is not a JSON object"),
]


@pytest.mark.parametrize(("build", "expected"), CASES, ids=[build.__name__ for build, _ in CASES])
def test_image_folders_are_read(build: Callable[[Path], None], expected: str, tmp_path: Path) -> None:
    build(tmp_path)
    assert re.match(f"{expected}$" if "Error" not in expected else expected, outcome(tmp_path)[0])
