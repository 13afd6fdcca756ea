"""A budget takes seeds first, and a study taken up again is the study that was begun."""

import dataclasses
import json

import pytest

from condetr.comparing.study import OVERHEAD, RESULT, Asked, Fitted, expected, finished, fit, keep, runs, settle
from condetr.comparing.variants import configs
from condetr.config import override
from condetr.errors import CondetrError, ConfigError, DataError
from condetr.files import write_text

MODELS = configs(["detr", "conditional_detr"], "nano", {})
PER_EPOCH = {"detr": 10.0, "conditional_detr": 20.0}
ASKED = Asked(MODELS, (10, 20, 40), 3, None, "detr", "abc")


def within(minutes: float) -> Fitted:
    return fit(PER_EPOCH, dataclasses.replace(ASKED, budget=minutes), jobs=1)


def test_without_a_budget_everything_fits():
    assert fit(PER_EPOCH, ASKED, jobs=1) == Fitted((10, 20, 40), 3, ())


def test_seeds_go_first_then_long_schedules_then_epochs():
    one_seed = expected(PER_EPOCH, (10, 20, 40), 1, 1) / 60
    assert within(3.1 * one_seed) == Fitted((10, 20, 40), 3, ())
    assert within(2.1 * one_seed) == Fitted((10, 20, 40), 2, ("2 of 3 seeds",))
    assert within(0.9 * one_seed).epochs == (10, 20)
    assert within(0.9 * one_seed).notes == ("1 of 3 seeds", "no schedule of 40 epochs")
    few = within((4.5 * 30 + 2 * OVERHEAD) / 60)
    assert few.epochs == (4,)
    assert few.seeds == 1
    assert few.notes[-1] == "4 of 10 epochs"


@pytest.mark.parametrize("minutes", [2.0, 7.0, 20.0, 36.0, 80.0, 110.0])
def test_what_is_said_to_fit_does(minutes):
    fitted = within(minutes)
    assert expected(PER_EPOCH, fitted.epochs, fitted.seeds, 1) <= minutes * 60


def test_a_budget_for_less_than_an_epoch_is_refused():
    with pytest.raises(ConfigError, match=r"not one epoch of 2 models fits \(about 40 s are needed"):
        within(0.5)


def test_runs_come_seed_by_seed_with_short_schedules_first(tmp_path):
    made = runs(MODELS, Fitted((2, 5), 2, ()), tmp_path)
    assert [run.name for run in made] == [
        f"{model}/e{epochs}/s{seed}" for seed in (0, 1) for epochs in (2, 5) for model in MODELS
    ]
    assert [run.config.train.seed for run in made[::4]] == [42, 43]
    assert {run.config.train.epochs for run in made} == {2, 5}


def test_models_with_the_same_settings_are_trained_once(tmp_path):
    same = configs(["conditional_detr", "diagonal", "identity"], "nano", {})
    places = {run.model: run.folder for run in runs(same, Fitted((2,), 1, ()), tmp_path)}
    assert places["conditional_detr"] == places["diagonal"] != places["identity"]


def test_another_study_finds_the_runs_that_are_there(tmp_path):
    (run, _) = runs(MODELS, Fitted((2,), 1, ()), tmp_path)
    folder = tmp_path / "some_name" / "e2" / "s0"
    write_text(folder / "config.json", run.config.model_dump_json())
    assert runs(MODELS, Fitted((2,), 1, ()), tmp_path)[0].folder == folder


def test_the_plan_is_kept(tmp_path):
    assert settle(tmp_path, ASKED) is None
    keep(tmp_path, ASKED, Fitted((10,), 2, ("2 of 3 seeds",)))
    assert settle(tmp_path, ASKED) == Fitted((10,), 2, ("2 of 3 seeds",))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seeds": 5}, "seeds was 3, now 5"),
        ({"epochs": (10, 20)}, "epochs was 10,20,40, now 10,20"),
        ({"budget": 30.0}, "budget was None, now 30.0"),
        ({"models": {**MODELS, "detr": override(MODELS["detr"], {"train.lr": 0.5})}},
         "detr:train.lr was 0.001, now 0.5"),
        ({"models": configs(["detr", "identity"], "nano", {})},
         "conditional_detr was compared, now it is not; identity was not compared, now it is"),
    ],
)  # fmt: skip
def test_a_study_asked_for_in_other_words_is_refused_with_the_difference(tmp_path, change, words):
    keep(tmp_path, ASKED, Fitted((10,), 2, ()))
    with pytest.raises(ConfigError, match="started with other settings") as caught:
        settle(tmp_path, dataclasses.replace(ASKED, **change))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_study_on_changed_data_is_refused(tmp_path):
    keep(tmp_path, ASKED, Fitted((10,), 2, ()))
    with pytest.raises(DataError, match="data set has changed"):
        settle(tmp_path, dataclasses.replace(ASKED, data="other"))


def test_a_run_with_other_settings_is_no_run_of_this_study(tmp_path):
    run = runs(MODELS, Fitted((2,), 1, ()), tmp_path)[0]
    other = override(run.config, {"train.batch": 3})
    write_text(run.folder / "config.json", other.model_dump_json())
    with pytest.raises(ConfigError, match=r"train\.batch was 3, now 16"):
        finished(runs(MODELS, Fitted((2,), 1, ()), tmp_path)[0], "abc")


def test_a_result_that_cannot_be_read_is_named(tmp_path):
    run = runs(MODELS, Fitted((2,), 1, ()), tmp_path)[0]
    for content in ("{", "[]", json.dumps({"points": [{"epoch": 1}], "interval": None})):
        write_text(run.folder / RESULT, content)
        with pytest.raises(CondetrError, match=r"result\.json: cannot be read"):
            finished(run, "abc")
