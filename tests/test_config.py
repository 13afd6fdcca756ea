import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condetr import config
from condetr.errors import ConfigError
from condetr.recipes import RECIPES, recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_its_own_json(name):
    c = recipe(name)
    assert c.recipe == name
    assert config.parse(json.loads(c.model_dump_json()), "x") == c


def test_sizes_at_800_are_the_papers():
    data = config.Data()
    assert [round(s * data.size) for s in data.scales] == list(range(480, 801, 32))
    assert [round(s * data.size) for s in data.crop_scales] == [400, 500, 600]
    assert (round(data.crop_smallest * data.size), round(data.crop_largest * data.size)) == (384, 600)
    assert round(data.longest * data.size) == 1333


def test_the_papers_recipes():
    conditional, detr = recipe("conditional_detr_r50"), recipe("detr_r50")
    assert (conditional.loss.classes, conditional.loss.l1, conditional.loss.giou) == (2, 5, 2)
    assert (detr.loss.classes, detr.loss.l1, detr.loss.giou) == (1, 5, 2)
    assert (conditional.model.queries, detr.model.queries) == (300, 100)
    for c in (conditional, detr):
        assert (c.train.lr, c.train.backbone_lr, c.train.weight_decay, c.train.clip) == (1e-4, 0.1, 1e-4, 0.1)
        assert c.model.backbone.trains_from == "layer2"
    assert int(conditional.train.epochs * conditional.train.drop_at) == 40


def test_an_unknown_key_is_named_with_its_path():
    with pytest.raises(ConfigError, match=r"run\.json: model\.backbone\.depth: no such setting"):
        config.parse({"model": {"backbone": {"depth": 50}}}, "run.json")


def test_settings_change_by_dotted_path_and_are_validated():
    c = config.override(recipe("nano"), {"train.lr": 0.5, "model.decoder.spatial_query": "block"})
    assert c.train.lr == 0.5
    assert c.model.decoder.spatial_query == "block"
    assert config.override(c, {"model.decoder.kind": "detr"}).model.decoder == config.Detr()
    for setting, message in (
        ({"train.lrr": 1}, "train.lrr: no such setting"),
        ({"nonsense": 1}, "nonsense: no such setting"),
        ({"train.lr": "fast"}, "train.lr"),
        ({"model.dim": 30}, "model.dim"),
        ({"model.heads": 3}, "no multiple"),
        ({"model.backbone.stride": 32}, "stride"),
    ):
        with pytest.raises(ConfigError, match=message) as error:
            config.override(recipe("nano"), setting)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "resnet51"}, r"model\.backbone\.name: 'resnet51': no such backbone. Did you mean resnet50\?"),
        ({"name": "timm:"}, "no such backbone"),
        ({"name": "timm:convnext_tiny", "norm": "channel"}, "choose frozen_batch or learned_batch"),
        ({"name": "resnet50", "norm": "learned_batch"}, "choose frozen_batch or channel"),
    ],
)
def test_a_backbone_that_there_is_not_is_refused_with_what_there_is(settings, message):
    with pytest.raises(ConfigError, match=message) as error:
        config.parse({"model": {"backbone": settings}}, "run.json")
    assert "\n" not in str(error.value)


def test_a_timm_network_is_named_with_its_prefix():
    backbone = config.Backbone(name="timm:convnext_tiny.fb_in1k")
    assert backbone.timm_name == "convnext_tiny.fb_in1k"
    assert config.Backbone().timm_name == ""


def test_a_variant_and_its_setting_come_in_any_order():
    setting = {"model.scoring.background_weight": 0.3, "model.scoring.kind": "softmax"}
    for items in (setting.items(), reversed(setting.items())):
        assert config.override(recipe("nano"), dict(items)).model.scoring == config.Softmax(background_weight=0.3)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_whatever_comes_is_a_config_or_one_line(values):
    if not isinstance(values, dict):
        values = {"model": values}
    try:
        config.parse(values, "file")
    except ConfigError as error:
        assert str(error).startswith("file: ")
