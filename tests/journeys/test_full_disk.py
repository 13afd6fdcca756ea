"""Every verb that writes, where files cannot grow: one line, no half written file, and a training that resumes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import condetr
from condetr.checkpoint import Weights, save
from condetr.converting import convert
from condetr.datasets.digits import make_digits
from condetr.errors import CondetrError
from condetr.reports.page import Page
from condetr.types import Categories
from tests.labelled import coco_content
from tests.small_run import settings
from tests.tiny import shaken

resource = pytest.importorskip("resource", reason="limits are set on Unix alone")
LIMIT = 600  # bytes of a file


@contextmanager
def full_disk() -> Iterator[None]:
    """Within the block no file of this process grows beyond `LIMIT`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def data(roboflow) -> Path:
    names = {"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]}
    return roboflow(train=coco_content(1, images=4) | names, valid=coco_content(101) | names)


@pytest.fixture
def weights(tmp_path) -> Path:
    c = settings()
    save(tmp_path / "weights", Weights(shaken(c.model, 2), c, Categories((1, 2), ("a", "b")), None))
    return tmp_path / "weights"


def only_complete_files(folder: Path) -> bool:
    return not any(file.suffix == ".part" for file in folder.rglob("*"))


def test_a_training_stops_in_one_line_and_resumes(data, tmp_path):
    def run(**options):
        return condetr.train(data, settings(train__epochs=1), out=tmp_path / "run", device="cpu", **options)

    with full_disk(), pytest.raises(CondetrError, match=r"cannot be written \(File too large\)") as error:
        run()
    assert "\n" not in str(error.value)
    assert only_complete_files(tmp_path)
    assert run(resume=True).best_ap is not None


VERBS: dict[str, Callable[[Path, Path, Path], object]] = {
    "convert": lambda weights, data, out: convert(weights, out),
    "convert to transformers": lambda weights, data, out: convert(weights, out, to="transformers"),
    "evaluate": lambda weights, data, out: condetr.evaluate(weights, data, split="valid", device="cpu", out=out),
    "examine": lambda weights, data, out: condetr.examine(data).write(out),
    "save": lambda weights, data, out: condetr.save(out, condetr.load(weights)),
    "digits": lambda weights, data, out: make_digits(out, 20, 64, 0),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_a_full_disk_is_one_line(verb, weights, data, tmp_path):
    with full_disk(), pytest.raises(CondetrError) as error:
        verb(weights, data, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert only_complete_files(tmp_path / "out")


def test_an_evaluation_is_written_completely_or_not_at_all(weights, data, tmp_path, monkeypatch):
    out = tmp_path / "out"
    found = condetr.evaluate(weights, data, split="valid", device="cpu")
    monkeypatch.setattr("condetr.evaluating.page.page", lambda evaluation: Page("short"))
    size = len(Page("short").html())
    for limit in (size + 1, size - 1):  # the page fits and the numbers do not; nothing fits
        monkeypatch.setattr(f"{__name__}.LIMIT", limit)
        monkeypatch.setattr(type(found), "to_dict", lambda evaluation: {"long": "x" * 2 * size})
        with full_disk(), pytest.raises(CondetrError, match=r"out/(report.html|metrics.json): cannot be written"):
            found.write(out)
        assert list(out.iterdir()) == []
    found.write(out)
    assert sorted(file.name for file in out.iterdir()) == ["detections.json", "metrics.json", "report.html"]


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_a_file_in_the_place_of_the_folder_is_one_line_and_stays(verb, weights, data, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(CondetrError) as error:
        verb(weights, data, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert (tmp_path / "out").read_text() == "mine"
