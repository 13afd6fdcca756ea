"""What a Predictor takes: everything that the command line takes, and images in memory, or one line that says what."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from condetr.checkpoint import Weights
from condetr.config import Config, Data
from condetr.detections import Detections
from condetr.errors import CondetrError, ImageError
from condetr.predicting.predictor import Predictor
from condetr.types import Categories
from tests.tiny import TINY, shaken

ARRAY = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
CATEGORIES = Categories((1, 3, 4), ("cat", None, "dog"))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(Weights(shaken(TINY, 3), Config(model=TINY, data=Data(size=48)), CATEGORIES, None))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.png", "sub/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(ARRAY).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path


class Zipped:
    """A file object of another library, that only reads."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self) -> bytes:
        return self.content


def test_a_single_image_gives_its_detections_whatever_it_is_given_as(predictor: Predictor, folder: Path) -> None:
    content = (folder / "a.png").read_bytes()
    expected = predictor(ARRAY, threshold=0.0)
    assert len(expected)
    with (folder / "a.png").open("rb") as file:
        given = [
            folder / "a.png", str(folder / "a.png"), content, bytearray(content), memoryview(content), file,
            io.BytesIO(content), Zipped(content), Image.open(folder / "a.png"), torch.tensor(ARRAY).permute(2, 0, 1),
        ]  # fmt: skip
        for image in given:
            detections = predictor(image, threshold=0.0)
            assert isinstance(detections, Detections)
            assert detections == expected, type(image)
    assert predictor(folder / "a.png").file == str(folder / "a.png")
    assert predictor(content).file is None


def test_folders_globs_and_lists_give_a_list_and_each_names_its_file(predictor: Predictor, folder: Path) -> None:
    assert [one.file for one in predictor(folder)] == [str(folder / name) for name in ("a.png", "b.png", "sub/c.png")]
    assert [one.file for one in predictor(f"{folder}/*.png")] == [str(folder / name) for name in ("a.png", "b.png")]
    assert [one.file for one in predictor(f"{folder}/sub/*.png")] == [str(folder / "sub/c.png")]
    assert [one.file for one in predictor([folder / "sub", ARRAY])] == [str(folder / "sub/c.png"), None]
    assert len(predictor(folder.glob("*.png"))) == 2
    assert predictor([]) == []


def test_a_stream_expands_folders_in_place(predictor: Predictor, folder: Path) -> None:
    sources = [source for source, _ in predictor.stream([ARRAY, folder, str(folder / "a.png")], 0.0)]
    assert sources[0] is ARRAY
    assert sources[1:] == [*(str(folder / name) for name in ("a.png", "b.png", "sub/c.png")), str(folder / "a.png")]
    assert [source for source, _ in predictor.stream(folder, 0.0)] == sources[1:4]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (4, "RGBA")])
def test_tensors_may_be_grey_or_have_alpha(predictor: Predictor, channels: int, mode: str) -> None:
    image = Image.fromarray(ARRAY).convert(mode)
    tensor = torch.tensor(np.asarray(image).reshape(40, 60, channels)).permute(2, 0, 1)
    assert predictor(tensor, threshold=0.0) == predictor(image, threshold=0.0)


@pytest.mark.parametrize("image", [None, 3, object(), 2.5])
def test_what_is_not_an_image_is_one_line_with_what_is_taken(predictor: Predictor, image: object) -> None:
    for given in (image, [ARRAY, image]):
        with pytest.raises(CondetrError, match="is not an image: an image is a path or http") as error:
            predictor(given)  # type: ignore[call-overload]
        assert "\n" not in str(error.value)
    with pytest.raises(CondetrError, match="is not an image"):
        predictor.stream(image)  # at once, not at the first image


def test_what_is_not_weights_is_one_line() -> None:
    """In a process of its own, as the shape checker refuses it here before condetr does."""
    code = "import condetr\nfor call in (condetr.Predictor, condetr.Predictor.load, condetr.load):\n"
    code += " for value in (None, 3):\n  try: call(value)\n  except condetr.CondetrError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    assert ["not None" in line or "not an int" in line for line in lines] == [True] * 6


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (torch.zeros(3, 4, 4), "expected a uint8 tensor of shape .3, height, width., got float32 of shape .3, 4, 4."),
        (torch.zeros(4, 4, 3, dtype=torch.uint8)[None], "uint8 tensor of shape"),
        (torch.zeros(40, 60, 3, dtype=torch.uint8), "got uint8 of shape .40, 60, 3."),
        (np.zeros((4, 4, 3)), "expected uint8"),
        (b"junk", "not an image"),
        (bytearray(), "empty"),
        (io.StringIO("text"), "opened as text"),
    ],
)
def test_an_image_that_cannot_be_read_is_one_line(predictor: Predictor, image: object, reason: str) -> None:
    with pytest.raises(ImageError, match=f"image 0: .*{reason}") as error:
        predictor(image)  # type: ignore[call-overload]
    assert "\n" not in str(error.value)


def test_a_missing_file_an_empty_folder_and_an_unmatched_glob_are_named(predictor: Predictor, tmp_path: Path) -> None:
    for given, reason in ((tmp_path / "x.png", "no such file"), (tmp_path, "without images"), ("*.nothing", "no file")):
        with pytest.raises(ImageError, match=reason) as error:
            predictor(given)
        assert str(given) in str(error.value)


def test_classes_and_numbers_select(predictor: Predictor) -> None:
    everything = predictor(ARRAY, threshold=0.0, max_detections=1000)
    assert len(everything) == 7 * 2  # all pairs of a query and a class
    assert predictor(ARRAY, threshold=0.0, classes="dog") == everything.filter(classes="dog")
    assert predictor(ARRAY, threshold=0.0, max_detections=3) == everything[:3]
    assert predictor(ARRAY, threshold=0.0, classes=["dog"], max_detections=2) == everything.filter(classes="dog")[:2]
    single = predictor(ARRAY, threshold=0.0, one_class_per_box=True)
    assert sorted(single.queries.tolist()) == list(range(7))
    assert single == everything.best_of_each_query()
    for wrong, reason in (({"classes": "dgo"}, "did you mean 'dog'"), ({"max_detections": 0}, "must be at least 1")):
        with pytest.raises(CondetrError, match=reason):
            predictor(ARRAY, **wrong)


def test_the_thresholds_that_weights_carry_are_the_default(predictor: Predictor) -> None:
    everything = predictor(ARRAY, threshold=0.0)
    middle = float(np.median(everything.scores))
    own = Predictor(Weights(predictor.detector, predictor.config, CATEGORIES, (middle, 1.0, 1.0)))
    assert own(ARRAY) == everything.filter(classes="cat", min_score=middle) != everything[:0]
    assert own(ARRAY, threshold=0.0) == everything
    assert predictor.min_score() == 0.5
    assert own.min_score() == own.min_score("best") == (middle, 1.0, 1.0)


def test_a_file_in_memory_is_read_from_its_beginning(predictor: Predictor):
    written = io.BytesIO()
    Image.fromarray(ARRAY).save(written, "PNG")
    assert predictor(written, 0.0) == predictor(ARRAY, 0.0)


@pytest.mark.parametrize("kind", [str, object])
def test_an_array_of_paths_is_several_images(predictor: Predictor, folder: Path, kind: type):
    paths = np.array([str(folder / "b.png"), str(folder / "sub" / "c.png")], dtype=kind)
    assert [found.file for found in predictor(paths, 0.0)] == paths.tolist()


def test_a_tensor_without_an_array_of_pixels_is_one_line(predictor: Predictor):
    tensor = torch.zeros(3, 8, 8, dtype=torch.uint8)
    for odd in (tensor.to("meta"), tensor.to_sparse()):
        with pytest.raises(ImageError, match="image 0: a tensor that has no array of pixels") as caught:
            predictor(odd)
        assert "\n" not in str(caught.value)
