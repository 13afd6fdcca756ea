import copy
import json
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condetr import config
from condetr.engine.schedule import drop_epoch
from condetr.errors import ConfigError
from condetr.recipes import RECIPES, recipe, with_published_drop


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_read_back_from_its_json(name):
    c = recipe(name)
    assert c.recipe == name
    assert config.parse(json.loads(c.model_dump_json()), "x") == c


def test_at_800_pixels_the_sizes_are_the_papers():
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


def test_the_papers_other_schedules_and_batches():
    """Conditional DETR, Table 1: 50, 75 and 108 epochs drop after 40, 60 and 80; DETR: 300 after 200, 500 after 400."""

    def drop(name, epochs, **settings):
        base = config.override(recipe(name), {"train.epochs": epochs, **settings})
        train = with_published_drop(base).train
        return drop_epoch(train.epochs, train.drop_at)

    assert [drop("conditional_detr_dc5_r101", epochs) for epochs in (50, 75, 108)] == [40, 60, 80]
    assert [drop("detr_r50", epochs) for epochs in (300, 500, 150)] == [200, 400, 100]
    assert drop("conditional_detr_r50", 108, **{"train.drop_at": 0.5}) == 54
    assert drop("small", 108) == 86
    assert [drop("condetr_r50", epochs) for epochs in (12, 24)] == [11, 20]
    assert [recipe(name).train.batch for name in ("detr_dc5_r50", "detr_dc5_r101", "detr_r50")] == [64, 64, 16]
    assert [recipe(f"conditional_detr_{name}").train.batch for name in ("dc5_r50", "dc5_r101", "r50")] == [8, 8, 16]


def test_an_unknown_key_is_reported_with_its_path():
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
        ({"model.heads": 3}, "not a multiple"),
        ({"model.backbone.stride": 32}, "stride"),
    ):
        with pytest.raises(ConfigError, match=message) as error:
            config.override(recipe("nano"), setting)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "resnet51"}, r"model\.backbone\.name=resnet51: no such backbone. Did you mean resnet50\?"),
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
        assert config.override(recipe("detr_r50"), dict(items)).model.scoring == config.Softmax(background_weight=0.3)


def test_naming_the_kind_that_a_variant_has_resets_nothing():
    assert config.override(recipe("small"), {"model.decoder.kind": "refining"}) == recipe("small")


def test_another_decoder_than_the_refining_one_has_no_denoising():
    conditional = config.override(recipe("small"), {"model.decoder.kind": "conditional"})
    assert (conditional.train.denoising, conditional.model.reference) == (0, "predicted")
    with pytest.raises(ConfigError, match=r"train\.denoising needs model\.decoder\.kind=refining"):
        config.override(recipe("small"), {"model.decoder.kind": "conditional", "train.denoising": 50})


def test_another_kind_keeps_the_settings_that_both_variants_have(monkeypatch):
    class Smooth(config.Strict):
        kind: str = "smooth"
        gamma: float = 1.0
        softness: float = 3.0

    validated = []
    monkeypatch.setattr("condetr.config.experiment.variants", lambda model, path: {"smooth": Smooth})
    monkeypatch.setattr(
        "condetr.config.experiment.parse", lambda values, source: validated.append(values) or config.Config()
    )
    base = recipe("conditional_detr_r50")
    config.override(base, {"model.scoring.kind": "smooth"})
    config.override(base, {"model.scoring.gamma": 1.5, "model.scoring.kind": "smooth"})
    assert [values["model"]["scoring"] for values in validated] == [
        {"kind": "smooth", "gamma": 2.0},
        {"kind": "smooth", "gamma": 1.5},
    ]


def test_the_length_of_the_warm_up_that_is_set_replaces_the_other_one():
    fixed = config.override(recipe("small"), {"train.warmup_steps": 7})
    steps = fixed.train
    assert (recipe("small").train.warmup, steps.warmup, steps.warmup_steps) == (0.05, 0, 7)
    share = config.override(fixed, {"train.warmup": 0.2}).train
    assert (share.warmup, share.warmup_steps) == (0.2, 0)
    with pytest.raises(ConfigError, match="train: warmup and warmup_steps: set one of them to 0"):
        config.override(config.Config(), {"train.warmup_steps": 7, "train.warmup": 0.2})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"train.lr": -1}, "train.lr=-1: must be greater than 0"),
        ({"train.lr": -1.0}, "train.lr=-1: must be greater than 0"),
        ({"train.epochs": 0}, "train.epochs=0: must be at least 1"),
        ({"train.ema": 1}, "train.ema=1: must be less than 1"),
        ({"data.size": 9999}, "data.size=9999: must be at most 4096"),
        ({"model.dim": 30}, "model.dim=30: must be a multiple of 4"),
        ({"train.epochs": "many"}, "train.epochs=many: must be a whole number"),
        ({"train.epochs": 1.5}, "train.epochs=1.5: must be a whole number"),
        ({"train.epochs": [1]}, "train.epochs=[1]: must be a whole number"),
        ({"train.lr": "fast"}, "train.lr=fast: must be a number"),
        ({"train.lr": float("inf")}, "train.lr=Infinity: must be a finite number"),
        ({"train.lr": None}, "train.lr=null: must be a number"),
        ({"train.init": 3}, "train.init=3: must be text"),
        ({"data.scales": 1}, "data.scales=1: must be a list"),
        ({"data.scales": [0.8, -1]}, "data.scales.1=-1: must be greater than 0"),
        ({"data.crop_scales": [0]}, "data.crop_scales.0=0: must be greater than 0"),
        ({"data.scales": [1000]}, "data.scales.0=1000: must be at most 64"),
        ({"data.scales": []}, "data.scales=[]: must not have fewer values than 1"),
        ({"train.precision": "fp61"}, "train.precision=fp61: must be fp32, bf16 or fp16. Did you mean fp16?"),
        ({"model.backbone.last_stage": 5}, "model.backbone.last_stage=5: must be 2, 3 or 4"),
        (
            {"model.decoder.kind": "dert"},
            "model.decoder.kind=dert: must be detr, conditional or refining. Did you mean detr?",
        ),
        ({"model.decoder": {}}, "model.decoder.kind: is missing"),
        ({"model.decoder": 1}, "model.decoder=1: must be a group of settings"),
        ({"model.heads": 3}, "model: dim=128 is not a multiple of heads=3"),
        ({"train.lrr": 1}, "train.lrr: no such setting. Did you mean train.lr?"),
        ({"lr": 1}, "lr: no such setting. Did you mean train.lr?"),
        ({"model.decoder.strat": 1}, "model.decoder.strat: no such setting. Did you mean model.decoder.start?"),
        ({"model.scoring.background_weight": 1}, "model.scoring.background_weight: needs model.scoring.kind=softmax"),
        ({"qqq": 1}, "qqq: no such setting. See `condetr recipes NAME` for all settings"),
        ({"train.lr": "\x1b[31m\n"}, "train.lr=\\x1b[31m\\n: must be a number"),
        ({"train.lr": "9" * 99 + "x"}, f"train.lr={'9' * 59}…: must be a number"),
    ],
)
def test_an_invalid_setting_is_one_plain_line(setting, message):
    with pytest.raises(ConfigError) as caught:
        config.override(recipe("small"), setting)
    assert str(caught.value) == message


def test_an_error_names_the_flag_that_was_typed():
    with pytest.raises(ConfigError) as caught:
        config.override(recipe("small"), {"train.lr": -1})
    error = caught.value
    assert (error.setting, error.value, error.reason) == ("train.lr", "-1", "must be greater than 0")
    assert str(error.named_as_typed({"train.lr": "--lr"})) == "--lr -1: must be greater than 0"
    assert str(error.named_as_typed({"train.lr": "--set"})) == "--set train.lr=-1: must be greater than 0"
    assert error.named_as_typed({"train.epochs": "--epochs"}) is error
    with pytest.raises(ConfigError) as caught:
        config.parse({"train": {"lr": -1}}, "run/config.json")
    of_file = caught.value.named_as_typed({"train.lr": "--lr"})
    assert str(of_file) == "run/config.json: train.lr=-1: must be greater than 0"


@pytest.mark.parametrize(("name", "nearest"), [("smal", "small"), ("detr-r50", "detr_r50"), ("Nano", "nano")])
def test_a_misspelt_recipe_names_the_nearest_one(name, nearest):
    with pytest.raises(ConfigError, match=f"recipe={name}: no such recipe. Did you mean {nearest}\\?"):
        recipe(name)
    with pytest.raises(ConfigError, match="The recipes are conditional_detr_r50, "):
        recipe("qqq")


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_any_json_is_a_config_or_an_error_of_one_line(values):
    if not isinstance(values, dict):
        values = {"model": values}
    try:
        config.parse(values, "file")
    except ConfigError as error:
        assert str(error).startswith("file: ")
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: config.Config(train=config.Train(lr=-1)), "lr=-1: must be greater than 0"),
        (lambda: config.Config(train={"lr": -1}), "train.lr=-1: must be greater than 0"),
        (lambda: config.Config(model={"decoder": {"kind": "conditionl"}}), "Did you mean conditional?"),
        (lambda: config.Config(trian={}), "trian: no such setting"),
        (lambda: config.Model(querys=3), "querys: no such setting. Did you mean queries?"),
        (lambda: config.Model(queries=None), "queries=null: must be a whole number"),
        (lambda: config.Train(epochs=True), "epochs=true: must be a whole number"),
        (lambda: config.Config(train={"lr": True}), "train.lr=true: must be a number"),
        (lambda: config.parse({"train": {"epochs": True}}, "run.json"), "run.json: train.epochs=true: must be a whole"),
        (lambda: config.override(config.Config(), {"train.epochs": True}), "train.epochs=true: must be a whole number"),
        (lambda: config.Train(precision="fp8"), "precision=fp8: must be fp32, bf16 or fp16"),
        (lambda: config.Train(init="a\ud800"), r"init=a\ud800: must be text in UTF-8"),
        (lambda: config.Config(train={"warmup": 0.1, "warmup_steps": 9}), "set one of them to 0"),
        (lambda: setattr(config.Train(), "lr", 1.0), "lr=1: settings cannot be changed in place"),
        (lambda: delattr(config.Train(), "lr"), "lr: settings cannot be changed in place"),
    ],
)
def test_a_wrong_value_in_python_is_the_one_line_error_of_the_command_line(make, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        make()
    assert isinstance(caught.value, ConfigError)
    assert "\n" not in str(caught.value)


def test_groups_are_copied_and_pickled():
    c = recipe("nano")
    assert pickle.loads(pickle.dumps(c)) == copy.deepcopy(c) == c
    assert config.Config(model=c.model, train=c.train.model_copy(update={"lr": 0.5})).train.lr == 0.5
