"""The study of levers: each model has exactly the levers that its name states, on every base."""

import pytest

from condetr.comparing.levers import BASELINE, LEVERS
from condetr.comparing.study import Schedule, all_runs
from condetr.comparing.timing import seconds_per_epoch
from condetr.comparing.variants import STUDIES, VARIANTS, configs, differing_settings, flatten
from condetr.config import Config, override
from condetr.examining.examine import examine
from condetr.recipes import recipe
from tests import generated

BASES = ("nano", "small", "conditional_detr_r50")
STUDY = STUDIES["levers"]
OWN = {  # the settings in which a model with the lever differs from the same model without it
    "local": {"model.decoder.start"},
    "anchors": {
        "model.decoder.kind", "model.reference", "model.decoder.box_bias", "model.decoder.bias_hidden",
        "model.decoder.size_modulation", "model.decoder.boxes",
    },
    "box_bias": {"model.decoder.box_bias"},
    "denoising": {"train.denoising"},
    "iou_aware": {
        "model.scoring.kind", "model.scoring.alpha", "model.scoring.gamma", "model.scoring.ramp",
        "model.scoring.class_weight",
    },
    "fused_keys": {"model.keys"},
    "groups": {"train.groups"},
    "schedule": {"train.schedule", "train.warmup", "train.ema", "train.ema_ramp", "train.clip"},
}  # fmt: skip
TINY = {"data.size": 48, "model.dim": 16, "model.heads": 2, "model.hidden": 16, "model.queries": 5, "train.batch": 2}


def differing(one: Config, other: Config) -> set[str]:
    return {path for path, _ in differing_settings({"one": one, "other": other}, lambda path: False)}


def test_the_study_has_the_baseline_each_lever_all_and_all_but_each():
    with_, without = ([f"{word}_{name}" for name in LEVERS] for word in ("with", "without"))
    assert ("plain", *with_, "all_levers", *without) == STUDY
    assert set(OWN) == set(LEVERS)


@pytest.mark.parametrize("base", BASES)
def test_every_model_differs_in_exactly_its_levers(base):
    models = configs(STUDY, base, {})
    warm = recipe(base).train.warmup == 0.05  # the baseline has the warm-up of its base
    for name, lever in LEVERS.items():
        own = OWN[name] - ({"train.warmup"} if warm else set())
        needed = OWN[lever.needs] if lever.needs else set()
        dependent = {path for other in LEVERS if LEVERS[other].needs == name for path in OWN[other]}
        assert differing(models["plain"], models[f"with_{name}"]) == own | needed
        assert differing(models["all_levers"], models[f"without_{name}"]) == own | dependent


@pytest.mark.parametrize("base", BASES)
def test_the_baseline_is_conditional_detr_with_the_rest_of_its_base(base):
    plain = configs(["plain"], base, {})["plain"]
    groups = ("model.decoder.", "model.scoring.")
    assert all(path in BASELINE or path.startswith(groups) for path in differing(plain, recipe(base)))
    published = recipe("conditional_detr_r50")
    assert (plain.model.decoder, plain.model.scoring) == (published.model.decoder, published.model.scoring)
    assert (plain.model.reference, plain.loss) == (published.model.reference, published.loss)


def test_settings_have_the_values_of_the_study():
    settings = dict(flatten(configs(["all_levers"], "nano", {})["all_levers"].model_dump()))
    assert {path: settings[path] for path in (*OWN["schedule"], "train.groups", "train.denoising")} == {
        "train.schedule": "flat_cosine", "train.warmup": 0.05, "train.ema": 0.993, "train.ema_ramp": 100,
        "train.clip": 1.0, "train.groups": 5, "train.denoising": 20,
    }  # fmt: skip
    assert settings["model.scoring.kind"] == "iou_aware"
    assert settings["model.scoring.class_weight"] == 4
    assert settings["model.decoder.box_bias"] == "log"
    assert settings["model.decoder.start"] == "local"


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_does_not_depend_on_the_levers_of_its_base(name):
    """A recipe may train with levers; its variants, those of the paper as well, have them only by name."""
    base = recipe("nano")
    levers = {path: value for path, value in VARIANTS["all_levers"].settings.items() if path != "train.warmup"}
    further = {
        "train.supervision": "one_to_many", "train.ema_window": 0.1, "train.denoising_noise": "positive",
        "model.decoder.size_modulation": True, "model.decoder.boxes": "relative", "model.scoring.kind": "mal",
        "loss.classes": 1.0,
    }  # fmt: skip
    with_levers = override(base, {**levers, **further})
    allowed = set() if name in STUDY else OWN["groups"] | OWN["schedule"] | {"train.ema_window"}
    assert differing(VARIANTS[name].of(with_levers), VARIANTS[name].of(base)) <= allowed | {"train.denoising_noise"}


def test_the_baseline_on_the_published_base_is_the_recipe_and_shares_its_runs(tmp_path):
    models = configs(["plain", "conditional_detr_r50", "with_local", "local"], "conditional_detr_r50", {})
    folders = [run.folder for run in all_runs(models, Schedule((2,), 1, ()), tmp_path)]
    assert folders[0] == folders[1] != folders[2] == folders[3]


def test_models_with_and_without_anchors_train_a_step(tmp_path):
    generated.write(tmp_path, {"train": 4, "valid": 2})
    dataset = examine(tmp_path).trainable()
    for config in configs(["with_box_bias", "all_levers", "without_anchors"], "nano", TINY).values():
        assert seconds_per_epoch(dataset, config, "cpu") > 0
