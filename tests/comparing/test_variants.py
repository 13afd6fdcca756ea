"""A variant differs from its base in the intended settings and in no other."""

import pytest
import torch

from condetr.build import build_detector
from condetr.comparing.study import Schedule, all_runs
from condetr.comparing.variants import STUDIES, VARIANTS, configs, differing_settings
from condetr.errors import ConfigError
from condetr.recipes import RECIPES, recipe

SMALL = {"model.dim": 16, "model.heads": 2, "model.hidden": 16, "model.queries": 5}


def differing(*names: str, base: str = "nano") -> set[str]:
    return {path for path, _ in differing_settings(configs(names, base, {}), lambda path: False)}


def test_the_headline_models_differ_in_decoder_scoring_reference_and_class_weight_only():
    assert differing("detr", "conditional_detr") == {
        "model.decoder.kind", "model.decoder.spatial_query", "model.decoder.start", "model.reference", "loss.classes",
        "model.scoring.kind",
        "model.scoring.alpha", "model.scoring.gamma", "model.scoring.background_weight",
    }  # fmt: skip


def test_on_a_published_base_detr_has_its_hundred_queries():
    both = configs(["detr", "conditional_detr"], "conditional_detr_r50", {})
    assert (both["detr"].model.queries, both["conditional_detr"].model.queries) == (100, 300)


def test_the_published_models_are_the_recipes():
    both = configs(["detr", "conditional_detr"], "conditional_detr_r50", {})
    assert both["detr"].model == recipe("detr_r50").model
    assert both["detr"].loss == recipe("detr_r50").loss
    assert both["conditional_detr"].model == recipe("conditional_detr_r50").model


@pytest.mark.parametrize(("study", "path"), [("transforms", "model.decoder.spatial_query"),
                                             ("queries", "model.decoder.spatial_query"),
                                             ("references", "model.reference"),
                                             ("starts", "model.decoder.start")])  # fmt: skip
def test_an_ablation_differs_in_one_setting(study, path):
    assert differing(*STUDIES[study]) == {path}


def test_the_models_of_every_study_exist():
    assert {name for names in STUDIES.values() for name in names} <= set(VARIANTS)
    assert not set(VARIANTS) & set(RECIPES)


@pytest.mark.parametrize("name", VARIANTS)
def test_all_models_of_a_seed_start_from_the_same_backbone(name, tmp_path):
    both = configs([*{"detr", name}], "nano", SMALL)
    made = []
    for run in all_runs(both, Schedule((2,), 1, ()), tmp_path):
        torch.manual_seed(run.config.train.seed)
        made.append(build_detector(run.config.model, 3).backbone.state_dict())
    for other in made[1:]:
        assert all(torch.equal(made[0][key], other[key]) for key in made[0])


def test_settings_apply_to_all_models_or_to_one():
    both = configs(["detr", "conditional_detr"], "nano", {"train.lr": 0.5, "detr:model.queries": 7})
    assert [config.train.lr for config in both.values()] == [0.5, 0.5]
    assert [config.model.queries for config in both.values()] == [7, recipe("nano").model.queries]


@pytest.mark.parametrize(
    ("names", "settings", "words"),
    [
        (["detr", "detr_r5O"], {}, "`models='detr_r5O'`: no such model. Did you mean detr_r50"),
        (["detr", "detr"], {}, "listed twice"),
        (["detr", "identity"], {"scalar:train.lr": 1}, "'scalar' is not among the models. There are detr, identity"),
        (["detr", "identity"], {"train.speed": 1}, "train.speed: no such setting"),
    ],
)
def test_unknown_models_and_settings_are_named(names, settings, words):
    with pytest.raises(ConfigError, match=words):
        configs(names, "nano", settings)


def test_conditional_detr_starts_as_published_on_every_base():
    """`nano` and `small` start their attention locally, which is not in the paper."""
    for base in ("nano", "small", "conditional_detr_r50"):
        assert configs(["conditional_detr"], base, {})["conditional_detr"].model.decoder.start == "published"
