"""Weights on disk: complete, of a known format and safe, or one line why not."""

import json
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from condetr import checkpoint
from condetr.config import Config
from condetr.errors import CondetrError, WeightsError
from condetr.types import Categories, Images
from tests.tiny import TINY, TINY_DETR, TINY_REFINING, shaken

CATEGORIES = Categories(ids=(3, 7, 8), names=("cell", "dust", None))


@pytest.fixture
def folder(tmp_path):
    weights = checkpoint.Weights(shaken(TINY, 3), Config(model=TINY), CATEGORIES, (0.1, 0.5, 0.9))
    checkpoint.save(tmp_path / "w", weights, "# card")
    return tmp_path / "w"


@pytest.mark.parametrize("model", [TINY, TINY_DETR, TINY_REFINING])
def test_what_is_saved_comes_back(tmp_path, model):
    detector = shaken(model, 3)
    saved = checkpoint.Weights(detector, Config(model=model), CATEGORIES, None)
    checkpoint.save(tmp_path, saved, "# card")
    loaded = checkpoint.load(tmp_path)
    assert (loaded.config, loaded.categories, loaded.thresholds) == (saved.config, CATEGORIES, None)
    assert {p.name for p in tmp_path.iterdir()} == {"model.safetensors", "config.json", "README.md"}
    images = Images.pad([torch.randn(3, 40, 40)])
    with torch.no_grad():
        torch.testing.assert_close(loaded.detector(images).logits, detector(images).logits, atol=0, rtol=0)
    learning = {n for n, p in loaded.detector.named_parameters() if p.requires_grad}
    assert learning == {n for n, p in detector.named_parameters() if p.requires_grad}


def test_a_runs_folder_means_its_best_weights(tmp_path, folder):
    run = tmp_path / "run"
    folder.rename(run.mkdir() or run / "best")
    (run / "config.json").write_text('{"recipe": "nano"}')
    assert checkpoint.load(run).thresholds == (0.1, 0.5, 0.9)


def refused(source, *words: str) -> None:
    with pytest.raises(CondetrError) as error:
        checkpoint.load(source)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_pth_is_refused_with_the_command(tmp_path):
    file = tmp_path / "detr.pth"
    file.write_bytes(b"x")
    refused(file, f"condetr convert {file} detr/")


def test_wrong_places_are_named(tmp_path, folder):
    refused(tmp_path / "nothing", "no such weights folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "config.json: no such file")
    refused(folder / "config.json", "give the folder")
    (folder / "model.safetensors").unlink()
    refused(folder, "model.safetensors: no such file")


def test_a_folder_of_runs_names_them(tmp_path, folder):
    refused(folder.parent, f"{folder.parent}: a folder of runs or weights. Did you mean {folder}?")
    for name in ("a", "b", "c", "d", "e"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.json").write_text("{}")
        (tmp_path / "runs" / name / ("journal.jsonl" if name == "a" else "model.safetensors")).touch()
    runs = tmp_path / "runs"
    named = ", ".join(str(runs / name) for name in "abcd")
    refused(runs, f"{runs}: a folder of runs or weights. Give one of them: {named} and others")


def test_a_run_in_its_first_epoch_has_no_weights_yet(tmp_path):
    for name in ("config.json", "data.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "journal.jsonl").touch()
    refused(tmp_path, f"{tmp_path}: this training run has no weights yet. They are written after its first epochs")


def test_without_a_network_a_hub_id_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused("facebook/detr-resnet-50", "HF_HUB_OFFLINE is set", "hf download facebook/detr-resnet-50 --local-dir DIR")


def test_a_cut_file_is_named(folder):
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    for size in (0, 4, 100, len(whole) - 1):
        file.write_bytes(whole[:size])
        refused(folder, "model.safetensors", "not a complete safetensors file" if size else "an empty file")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(folder, value):
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if "decoder" in name)
    tensors[name].flatten()[-1] = value
    save_file(tensors, folder / "model.safetensors")
    refused(folder, str(folder), name, "NaN or infinity")


def test_another_models_weights_are_named(folder):
    record = json.loads((folder / "config.json").read_text())
    for path, value, word in (
        (("model", "queries"), 9, "queries.weight has shape (7, 32)"),
        (("model", "encoder_layers"), 3, "encoder.layers.2"),
        (("model", "encoder_layers"), 1, "encoder.layers.1"),
    ):
        changed = json.loads(json.dumps(record))
        changed["config"][path[0]][path[1]] = value
        (folder / "config.json").write_text(json.dumps(changed))
        refused(folder, word)


def test_a_bad_config_names_file_and_place(folder):
    file = folder / "config.json"
    record = json.loads(file.read_text())

    def with_(change) -> None:
        changed = json.loads(json.dumps(record))
        change(changed)
        file.write_text(json.dumps(changed))

    with_(lambda r: r["config"]["model"].update(depth=3))
    refused(folder, "config.json: model.depth: no such setting")
    with_(lambda r: r["config"]["model"].update(dim=10**9))
    refused(folder, "config.json: model.dim")
    with_(lambda r: r.update(extra=1))
    refused(folder, "config.json: extra")
    with_(lambda r: r["categories"][0].update(id="x"))
    refused(folder, "config.json: categories")
    with_(lambda r: r["categories"][0].update(id=7))
    refused(folder, "config.json: categories: the same id twice")
    with_(lambda r: [c.update(name=None) for c in r["categories"]])
    refused(folder, "none of them has a name")
    with_(lambda r: r["config"]["train"].update(seed=-1))
    refused(folder, "config.json: train.seed")
    with_(lambda r: r.update(thresholds=[0.5]))
    refused(folder, "thresholds")
    for wrong in (float("nan"), 7, -0.1, True, "0.5"):
        with_(lambda r, wrong=wrong: r.update(thresholds=[wrong] * len(r["categories"])))
        refused(folder, f"config.json: thresholds must be numbers from 0 to 1, not {wrong}")
    with_(lambda r: r["categories"][0].update(id=1.5))
    refused(folder, "config.json: categories: ids must be whole numbers")
    with_(lambda r: r.pop("config"))
    refused(folder, "config.json")
    for text in ("", "[]", "{", "[" * 100_000):
        file.write_text(text)
        refused(folder, "config.json")
    file.write_bytes(b"\xff\xfe\x00")
    refused(folder, "config.json")


@settings(max_examples=40)
@given(st.data())
def test_hostile_bytes_are_refused_in_one_line(tmp_path_factory, data):
    """Any header over the same tensors: weights or one WeightsError, nothing else."""
    folder = tmp_path_factory.mktemp("hostile")
    checkpoint.save(folder, checkpoint.Weights(shaken(TINY, 3), Config(model=TINY), CATEGORIES, None), "")
    file = folder / "model.safetensors"
    whole = bytearray(file.read_bytes())
    length = struct.unpack("<Q", whole[:8])[0]
    for at in data.draw(st.lists(st.integers(0, length + 7), min_size=1, max_size=5)):
        whole[at] = data.draw(st.integers(0, 255))
    file.write_bytes(bytes(whole))
    try:
        checkpoint.load(folder)
    except WeightsError as error:
        assert "\n" not in str(error)


def test_the_hubs_address_and_a_revision_of_a_folder_get_the_way_out(tmp_path):
    for address in (
        "https://huggingface.co/owner/name", "http://www.huggingface.co/owner/name/tree/main", "hf.co/owner/name",
        "huggingface.co/owner/name", "hf://owner/name",
    ):  # fmt: skip
        with pytest.raises(WeightsError, match=r"without the URL: owner/name$"):
            checkpoint.load(address)
    with pytest.raises(WeightsError, match="the hub's datasets are not weights"):
        checkpoint.load("https://huggingface.co/datasets/owner/name")
    with pytest.raises(WeightsError, match=r"a revision is missing after @\. Name the repository as owner/name, or"):
        checkpoint.load("owner/name@")
    with pytest.raises(WeightsError, match="a folder on this machine has no revisions"):
        checkpoint.load(f"{tmp_path}@v1")
