"""Without a recipe, the device and the initial weights decide what is trained, and the number of images how long."""

import pytest

from condetr.checkpoint import Weights, load, load_config, save
from condetr.config import Config, Train
from condetr.errors import WeightsError
from condetr.recipes import recipe
from condetr.training import defaults
from condetr.training.defaults import PUBLISHED, default, fine_tuning
from condetr.types import Categories
from tests.tiny import TINY, TINY_REFINING, shaken


@pytest.fixture
def hub(monkeypatch):
    """Configs of weights by name, without a network; whatever else is asked for cannot be loaded."""
    configs = {PUBLISHED: Config(model=TINY), "runs/birds": Config(recipe="small", model=TINY_REFINING)}

    def load_config(name):
        if name not in configs:
            raise WeightsError(f"{name}: not in the hub's cache")
        return configs[name]

    monkeypatch.setattr(defaults, "load_config", load_config)
    return configs


def test_a_cpu_trains_the_small_recipe():
    chosen = default("cpu", None, "my birds")
    assert chosen.config(1) == chosen.config(10_000) == recipe("small")
    assert chosen.note(recipe("small")) == "no GPU was found"
    assert f"`condetr.train('my birds', init='{PUBLISHED}')`" in chosen.alternative


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_gpu_fine_tunes_the_published_model(device, hub):
    chosen = default(device, None, "birds")
    found = chosen.config(850)
    assert (found.model, found.train.init, found.train.lr, found.train.backbone_lr) == (TINY, PUBLISHED, 5e-5, 0.1)
    note = chosen.note(found)
    for part in (f"a GPU was found ({device})", "COCO weights", "lr (5e-05)", "batch 8", "29 epochs"):
        assert part in note
    assert "`condetr.train('birds', recipe='small')`" in chosen.alternative
    assert default(device, "imagenet", "birds").config(9).recipe == "conditional_detr_r50"


@pytest.mark.parametrize(
    ("images", "batch", "epochs"),
    [(0, 4, 50), (60, 4, 50), (240, 4, 50), (400, 8, 50), (850, 8, 29), (4000, 8, 20), (118_000, 16, 20)],
)
def test_epochs_and_batch_of_a_fine_tuning_depend_on_the_number_of_images(images, batch, epochs):
    found = fine_tuning(Train(warmup_steps=7), images)
    assert (found.batch, found.epochs, found.lr) == (batch, epochs, 5e-5)
    assert (found.warmup, found.warmup_steps) == (0.05, 0)


def test_weights_of_a_recipe_are_fine_tuned_with_its_settings(hub):
    chosen = default("cpu", "runs/birds", "birds")
    train, small = chosen.config(300).train, recipe("small").train
    assert (train.batch, train.groups, train.ema, train.lr) == (small.batch, small.groups, small.ema, small.lr / 2)
    assert "training settings those of small for fine-tuning: half of its lr" in chosen.note(chosen.config(300))
    assert train.init == "runs/birds"


def test_weights_of_an_earlier_recipe_without_anchors_are_fine_tuned_without_denoising(hub):
    hub["runs/birds"] = Config(recipe="small", model=TINY)
    train = default("cpu", "runs/birds", "birds").config(300).train
    assert (train.denoising, train.batch) == (0, recipe("small").train.batch)


def test_without_the_published_weights_one_line_names_the_way_out(hub):
    del hub[PUBLISHED]
    with pytest.raises(WeightsError, match=r"not in the hub's cache, or train from scratch with `recipe='nano'`"):
        default("cuda", None, "birds")
    assert default("cpu", None, "birds").base.recipe == "small"


def test_the_weights_to_start_from_are_not_read_for_their_config(tmp_path):
    c, categories = Config(recipe="small", model=TINY), Categories((0,), ("cow",))
    save(tmp_path, Weights(shaken(TINY, 1), c, categories, None), "card")
    assert load_config(str(tmp_path)) == load(tmp_path).config == c
    (tmp_path / "model.safetensors").unlink()
    assert default("cpu", str(tmp_path), "birds").config(300).model == TINY
