"""A budget leaves out seeds first, and a resumed study is the study that was started."""

import dataclasses
import json

import pytest

from condetr.comparing.study import (
    OVERHEAD,
    RESULT,
    Request,
    Schedule,
    all_runs,
    expected_seconds,
    fit_budget,
    read_result,
    save_study,
    saved_schedule,
)
from condetr.comparing.variants import configs
from condetr.config import override
from condetr.errors import CondetrError, ConfigError, DataError
from condetr.files import write_text
from condetr.training.default_folder import RECORD

MODELS = configs(["detr", "conditional_detr"], "nano", {})
PER_EPOCH = {"detr": 10.0, "conditional_detr": 20.0}
REQUEST = Request(MODELS, (10, 20, 40), 3, None, "detr", "abc")


def within(minutes: float) -> Schedule:
    return fit_budget(PER_EPOCH, dataclasses.replace(REQUEST, budget=minutes), jobs=1)


def test_without_a_budget_nothing_is_left_out():
    assert fit_budget(PER_EPOCH, REQUEST, jobs=1) == Schedule((10, 20, 40), 3, ())


def test_a_budget_leaves_out_seeds_then_long_schedules_then_epochs():
    one_seed = expected_seconds(PER_EPOCH, (10, 20, 40), 1, 1) / 60
    assert within(3.1 * one_seed) == Schedule((10, 20, 40), 3, ())
    assert within(2.1 * one_seed) == Schedule((10, 20, 40), 2, ("2 of 3 seeds",))
    assert within(0.9 * one_seed).epochs == (10, 20)
    assert within(0.9 * one_seed).notes == ("1 of 3 seeds", "no schedule of 40 epochs")
    few = within((4.5 * 30 + 2 * OVERHEAD) / 60)
    assert few.epochs == (4,)
    assert few.seeds == 1
    assert few.notes[-1] == "4 of 10 epochs"


@pytest.mark.parametrize("minutes", [2.0, 7.0, 20.0, 36.0, 80.0, 110.0])
def test_the_fitted_schedule_fits_the_budget(minutes):
    schedule = within(minutes)
    assert expected_seconds(PER_EPOCH, schedule.epochs, schedule.seeds, 1) <= minutes * 60


def test_a_budget_for_less_than_an_epoch_is_refused():
    with pytest.raises(ConfigError, match=r"not one epoch of 2 models fits \(about 40 s are needed"):
        within(0.5)


def test_runs_come_seed_by_seed_with_short_schedules_first(tmp_path):
    made = all_runs(MODELS, Schedule((2, 5), 2, ()), tmp_path)
    assert [run.name for run in made] == [
        f"{model}/e{epochs}/s{seed}" for seed in (0, 1) for epochs in (2, 5) for model in MODELS
    ]
    assert [run.config.train.seed for run in made[::4]] == [42, 43]
    assert {run.config.train.epochs for run in made} == {2, 5}


def test_models_with_the_same_settings_are_trained_once(tmp_path):
    same = configs(["conditional_detr", "diagonal", "identity"], "nano", {})
    places = {run.model: run.folder for run in all_runs(same, Schedule((2,), 1, ()), tmp_path)}
    assert places["conditional_detr"] == places["diagonal"] != places["identity"]


def test_another_study_uses_existing_runs(tmp_path):
    (run, _) = all_runs(MODELS, Schedule((2,), 1, ()), tmp_path)
    folder = tmp_path / "some_name" / "e2" / "s0"
    write_text(folder / "config.json", run.config.model_dump_json())
    assert all_runs(MODELS, Schedule((2,), 1, ()), tmp_path)[0].folder == folder


def test_the_schedule_is_saved(tmp_path):
    assert saved_schedule(tmp_path, REQUEST) is None
    save_study(tmp_path, REQUEST, Schedule((10,), 2, ("2 of 3 seeds",)))
    assert saved_schedule(tmp_path, REQUEST) == Schedule((10,), 2, ("2 of 3 seeds",))


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
def test_another_request_in_the_same_folder_is_refused_with_the_difference(tmp_path, change, words):
    save_study(tmp_path, REQUEST, Schedule((10,), 2, ()))
    with pytest.raises(ConfigError, match="started with other settings") as caught:
        saved_schedule(tmp_path, dataclasses.replace(REQUEST, **change))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_study_on_changed_data_is_refused(tmp_path):
    save_study(tmp_path, REQUEST, Schedule((10,), 2, ()))
    with pytest.raises(DataError, match="data set has changed"):
        saved_schedule(tmp_path, dataclasses.replace(REQUEST, data="other"))


def test_a_run_with_other_settings_is_refused(tmp_path):
    run = all_runs(MODELS, Schedule((2,), 1, ()), tmp_path)[0]
    other = override(run.config, {"train.batch": 3})
    write_text(run.folder / "config.json", other.model_dump_json())
    write_text(run.folder / RECORD, "{}")  # it had started
    with pytest.raises(ConfigError, match=rf"train\.batch was 3, now {run.config.train.batch}"):
        read_result(all_runs(MODELS, Schedule((2,), 1, ()), tmp_path)[0], "abc")


def test_an_unreadable_result_is_named(tmp_path):
    run = all_runs(MODELS, Schedule((2,), 1, ()), tmp_path)[0]
    for content in ("{", "[]", json.dumps({"points": [{"epoch": 1}], "interval": None})):
        write_text(run.folder / RESULT, content)
        with pytest.raises(CondetrError, match=r"result\.json: cannot be read"):
            read_result(run, "abc")


def test_a_study_of_an_older_version_is_read_with_its_old_keys(tmp_path):
    save_study(tmp_path, REQUEST, Schedule((10,), 2, ()))
    record = json.loads((tmp_path / "study.json").read_text())
    write_text(tmp_path / "study.json", json.dumps({"asked": record["request"], "planned": record["schedule"]}))
    assert saved_schedule(tmp_path, REQUEST) == Schedule((10,), 2, ())
