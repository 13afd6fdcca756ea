"""What a training starts from: all that fits is carried over, and what does not is named."""

import pytest
import torch
from safetensors.torch import save_file

from condetr import checkpoint, config
from condetr.checkpoint import Weights
from condetr.config import Config
from condetr.errors import ConfigError, WeightsError
from condetr.training.settings import resolve
from condetr.training.start import start
from condetr.types import Categories
from tests.tiny import TINY, TINY_DETR, shaken

PETS = Categories((1, 5, 9), ("cat", None, "dog"))
FARM = Categories((0, 1, 2), ("Dog", "cow", "cat"))


def from_(init: str, model=TINY, **changes) -> Config:
    named = {path.replace("__", "."): value for path, value in changes.items()}
    return config.override(Config(model=model), {"train.init": str(init), **named})


def saved(folder, model=TINY, categories=PETS):
    detector = shaken(model, len(categories))
    checkpoint.save(folder, Weights(detector, Config(recipe="tiny", model=model), categories, None), "card")
    return detector.state_dict()


def backbone(model=TINY, **more) -> dict[str, torch.Tensor]:
    """As torchvision and timm write them: a later stage, a classifier, and counters that nobody needs."""
    state = dict(shaken(model, 1).backbone.state_dict())
    counters = {name.replace("running_var", "num_batches_tracked"): torch.tensor(3) for name in state if "_var" in name}
    return {**state, **counters, "layer4.0.conv1.weight": torch.zeros(1), "fc.weight": torch.zeros(1000, 512), **more}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone.0.body."])
def test_a_backbones_file_fills_the_backbone(tmp_path, suffix, prefix):
    state = {f"{prefix}{name}": tensor for name, tensor in backbone().items()}
    file = tmp_path / f"resnet{suffix}"
    save_file(state, file) if suffix == ".safetensors" else torch.save(state, file)
    detector = start(from_(file), PETS).detector
    for name, tensor in detector.backbone.state_dict().items():
        assert torch.equal(tensor, state[prefix + name])
    fresh = start(from_("none"), PETS).detector
    assert torch.equal(detector.queries.weight, fresh.queries.weight)


def test_a_backbone_that_does_not_fit_is_named(tmp_path):
    file, whole = tmp_path / "resnet.safetensors", backbone()

    def refused(state, match):
        save_file(state, file)
        with pytest.raises(WeightsError, match=match) as caught:
            start(from_(file), PETS)
        assert "--init none" in str(caught.value)
        assert "\n" not in str(caught.value)

    refused({k: v for k, v in whole.items() if k != "layer2.0.conv1.weight"}, "layer2.0.conv1.weight is missing")
    refused({**whole, "layer1.0.conv1.weight": torch.zeros(2, 2)}, r"has shape \(2, 2\), not \(64, 64, 3, 3\)")
    refused({**whole, "layer1.0.conv3.weight": torch.zeros(2)}, "layer1.0.conv3.weight has no place")
    refused({"something": torch.zeros(1)}, "no ResNet's weights")
    file.write_bytes(b"not weights")
    with pytest.raises(WeightsError):
        start(from_(file), PETS)


def test_without_a_network_one_line_says_how_to_go_on(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        WeightsError, match=r"timm/resnet18.tv_in1k: ImageNet weights cannot be fetched.*--init none"
    ) as e:
        start(from_("imagenet"), PETS)
    assert "\n" not in str(e.value)
    nano = config.override(Config(model=TINY), {"model.backbone.name": "nano"})
    with pytest.raises(ConfigError, match="no such weights for the nano backbone"):
        start(nano, PETS)


def test_classes_are_carried_over_by_name_and_all_else_by_shape(tmp_path):
    theirs = saved(tmp_path / "pets")
    begun = start(from_(tmp_path / "pets"), FARM)
    ours = begun.detector.state_dict()
    fresh = start(from_("none"), FARM).detector.state_dict()
    for name in ("heads.classes.weight", "heads.classes.bias"):
        assert torch.equal(ours[name][0], theirs[name][2])  # Dog, whatever its case
        assert torch.equal(ours[name][1], fresh[name][1])  # cow is new
        assert torch.equal(ours[name][2], theirs[name][0])
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if not name.startswith("heads.classes"))
    assert "2 of 3 classes carried over by name" in begun.notes
    assert "classes that start fresh: cow" in begun.notes


def test_softmax_keeps_its_no_object_row(tmp_path):
    theirs = saved(tmp_path / "pets", TINY_DETR)
    ours = start(from_(tmp_path / "pets", TINY_DETR), Categories((0,), ("cow",))).detector.state_dict()
    assert torch.equal(ours["heads.classes.weight"][-1], theirs["heads.classes.weight"][-1])


@pytest.mark.parametrize("queries", [4, 12])
def test_another_number_of_queries_keeps_what_both_have(tmp_path, queries):
    theirs = saved(tmp_path / "pets")
    begun = start(from_(tmp_path / "pets", model__queries=queries), PETS)
    kept = min(queries, TINY.queries)
    found = begun.detector.queries.weight
    assert found.shape[0] == queries
    assert torch.equal(found[:kept], theirs["queries.weight"][:kept])
    line = f"queries.weight: {kept} of the weights' {TINY.queries} queries kept, {queries - kept} start fresh"
    assert line in begun.notes


def test_what_cannot_be_carried_over_is_listed(tmp_path):
    saved(tmp_path / "pets")
    begun = start(from_(tmp_path / "pets", model__decoder_layers=2, model__hidden=64), PETS)
    assert "not used of the weights: decoder.layers.2 (34 tensors)" in begun.notes
    assert "starts fresh (of another shape in the weights): encoder.layers.0 (3 tensors)" in begun.notes
    other = start(from_(tmp_path / "pets", TINY_DETR), PETS)
    assert "starts fresh: all classes (another scoring or width than the weights')" in other.notes


def test_frozen_norms_of_nothing_are_warned_of():
    assert any("cannot learn" in note for note in start(from_("none"), PETS).notes)


def test_words_become_a_config_in_one_order(tmp_path):
    words = {"epochs": 7, "lr": None, "size": 320, "init": "none"}
    found = resolve("small", words, {"train.lr": 5e-4}, None)
    assert (found.train.epochs, found.data.size, found.train.init, found.train.lr) == (7, 320, "none", 5e-4)
    assert resolve(None, {}, {}, None) == Config()
    assert resolve(None, {"seed": 3}, {}, found).train.seed == 3
    assert resolve(None, {}, {}, found) == found
    saved(tmp_path / "pets")
    assert resolve(None, {"init": str(tmp_path / "pets")}, {}, None).model == TINY
    with pytest.raises(ConfigError, match="given by a flag too"):
        resolve(None, {"epochs": 3}, {"train.epochs": 4}, None)
