"""The analysis finds the known ratios of constructed curves."""

import pytest
from rich.console import Console

from condetr.comparing.convergence import SHARES, analyse
from condetr.comparing.sentences import reference_not_learned
from condetr.comparing.statistics import Spread
from condetr.comparing.terminal import tables

from .curves import curve, ramp


def two(ratio: int, seeds: int = 3, epochs: int = 40) -> list:
    slow = [curve("slow", ramp(0.5 / 40, epochs), seed) for seed in range(seeds)]
    return slow + [curve("fast", ramp(ratio * 0.5 / 40, epochs), seed) for seed in range(seeds)]


@pytest.mark.parametrize("share", SHARES)
def test_a_model_that_learns_four_times_as_fast_has_the_ratio_four(share):
    found = analyse(two(4), "slow")
    target = next(t for t in found.targets if t.model == "fast" and t.share == share)
    # the running median lags one evaluation behind a ramp, for both models
    own = next(t for t in found.targets if t.model == "slow" and t.share == share)
    assert own.epochs.median == pytest.approx(1 + share * 39, abs=1.01)
    assert target.epochs.median == pytest.approx(1 + share * 39 / 4, abs=1.01)
    assert target.ratio_epochs.median == pytest.approx(own.epochs.median / target.epochs.median)
    assert target.images.median == 100 * target.epochs.median
    assert target.seconds.median == 2 * target.epochs.median


def test_the_reference_has_the_ratio_one_and_reaches_all_of_its_levels():
    found = analyse(two(4), "slow")
    for target in found.targets:
        if target.model == "slow":
            assert target.ratio_epochs.median == 1.0
            assert target.epochs.reached == 3


def test_a_level_that_is_never_reached_has_no_ratio():
    found = analyse(two(4), "fast")
    never = next(t for t in found.targets if t.model == "slow" and t.share == 1.0)
    assert never.epochs.median is None
    assert never.epochs.reached == 0
    assert never.ratio_epochs.median is None


def test_a_level_that_one_seed_misses_has_the_ratio_of_the_others_median():
    curves = two(2)
    curves[-1] = curve("fast", [0.0] * 40, 2)
    target = next(t for t in analyse(curves, "slow").targets if t.model == "fast" and t.share == 0.8)
    assert (target.epochs.reached, target.epochs.seeds, target.epochs.high) == (2, 3, None)
    assert target.ratio_epochs.low is None
    assert target.ratio_epochs.median is not None


def test_there_is_no_ratio_where_half_of_the_seeds_never_reach_the_level():
    curves = two(2, seeds=2)
    curves[-1] = curve("fast", [0.0] * 40, 1)
    target = next(t for t in analyse(curves, "slow").targets if t.model == "fast" and t.share == 0.8)
    assert target.epochs.median is None
    assert target.ratio_epochs.median is None
    assert (target.ratio_epochs.reached, target.ratio_epochs.seeds) == (1, 2)


def test_a_reference_that_learned_nothing_sets_no_level():
    curves = [curve("slow", [0.0] * 6), curve("fast", ramp(0.1, 6))]
    assert all(t.epochs.median is None for t in analyse(curves, "slow").targets)


def test_a_reference_below_a_tenth_of_the_best_model_has_not_learned(capsys):
    fast = [curve("fast", ramp(0.1, 6), seed) for seed in range(3)]
    for top, learned in ((0.0, False), (0.04, False), (0.06, True), (0.5, True)):
        found = analyse([*fast, *(curve("slow", ramp(0.1, 6, top), seed) for seed in range(3))], "slow")
        assert found.reference_learned is learned
        Console(width=100).print(tables(found))
        printed = " ".join(capsys.readouterr().out.split())
        assert ("slow has not started to learn within 6 epochs" in printed) is not learned
        assert ("how many times fewer" in printed) is learned
    assert analyse([*fast, curve("slow", [0.0] * 6)], "fast").reference_learned


def test_the_terminal_explains_one_seed_and_too_few_evaluations(capsys):
    Console(width=100).print(tables(analyse([curve("slow", [0.1, 0.2]), curve("fast", [0.2, 0.3])], "slow")))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "±" not in "".join(lines)
    assert "Fewer than 3 evaluations were made in 2 epochs" in " ".join(lines)
    first, second = (next(i for i, line in enumerate(lines) if start in line) for start in ("after com", "epochs to"))
    assert [lines[i - 1] for i in (first, second)] == ["", ""]
    assert lines[first + 1].startswith("model")
    assert lines[second + 1].startswith("model")


def test_a_terminal_of_40_columns_has_whole_names_numbers_and_differences(capsys):
    curves = [
        curve(model, ramp(slope, 40), seed)
        for seed in range(3)
        for model, slope in (("plain", 0.0125), ("without_denoising", 0.05))
    ]
    Console(width=40).print(tables(analyse(curves, "plain")))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    row = next(line.split() for line in lines if line.startswith("without_denoising"))
    assert row == ["without_denoising", "0.500", "+0.000", "1.00"]
    text = " ".join(line.strip() for line in lines)
    assert "after complete schedules of 40 epochs; gain in AP over plain; time per epoch, plain = 1" in text
    assert "too narrow for: ± 95 %, p" in text


def test_a_terminal_shows_one_sentence_where_nothing_was_learned(capsys):
    Console(width=100).print(tables(analyse([curve(m, [0.0] * 6, s) for s in range(3) for m in "ab"], "a")))
    assert capsys.readouterr().out.strip() == "No model learned anything within 6 epochs. Use longer schedules."


def test_an_ap_that_is_printed_as_zero_counts_as_nothing_learned(capsys):
    Console(width=100).print(tables(analyse([curve("a", [0.0004]), curve("b", [0.0001])], "a")))
    assert capsys.readouterr().out.strip() == "No model learned anything within 1 epoch. Use longer schedules."
    found = analyse([curve("a", [0.0004] * 6), curve("b", [0.001] * 6)], "a")
    assert (found.learned, found.reference_learned) == (True, False)
    assert "its best AP is 0.000. The" in reference_not_learned(found)
    assert analyse([curve("a", [0.3, 0.0]), curve("b", [0.0, 0.0])], "a").learned


def test_final_ap_is_compared_within_each_schedule_and_seed():
    curves = [
        curve(model, [0.1, 0.2, ap + 0.1 * seed], seed, epochs)
        for epochs, gap in ((10, 0.2), (20, 0.1))
        for model, ap in (("slow", 0.3), ("fast", 0.3 + gap))
        for seed in range(3)
    ]
    found = {(f.model, f.epochs): f for f in analyse(curves, "slow").finals}
    assert found["slow", 10].difference is None
    for epochs, gap in ((10, 0.2), (20, 0.1)):
        difference = found["fast", epochs].difference
        assert difference is not None
        assert difference.mean == pytest.approx(gap)
        assert difference.significance == "significantly better"
    assert found["fast", 20].ap50.mean == pytest.approx(2 * found["fast", 20].ap.mean)


def test_the_time_per_epoch_is_paired_by_seed(capsys):
    seconds = {
        ("slow", 0): 1.0,
        ("slow", 1): 2.0,
        ("slow", 2): 4.0,
        ("fast", 0): 3.0,
        ("fast", 1): 3.0,
        ("fast", 2): 5.0,
    }
    curves = [curve(m, [0.1, 0.2], s, epochs=4, every=2, seconds=each) for (m, s), each in seconds.items()]
    slow, fast = analyse(curves, "slow").finals
    assert slow.relative_time == Spread(1.0, 1.0, 1.0, 3, 3)
    assert fast.relative_time == Spread(1.5, 1.25, 3.0, 3, 3)  # 3 / 1, 3 / 2, 5 / 4, not 3 / 2 of the medians
    Console(width=100).print(tables(analyse(curves, "slow")))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert next(row[3:5] for row in rows if row[:1] == ["fast"]) == ["+0.000", "1.50"]


def test_without_a_common_seed_there_is_no_relative_time():
    other = curve("fast", [0.2, 0.3], seed=1, seconds=9.0)
    for curves in ([curve("slow", [0.1, 0.2]), other], [curve("slow", [0.1, 0.2], seed=1, seconds=0.0), other]):
        assert [f.relative_time for f in analyse(curves, "slow").finals if f.model == "fast"] == [None]


def test_only_seeds_that_both_have_finished_are_paired():
    curves = [curve("slow", [0.1, 0.2, 0.3], seed) for seed in range(3)] + [curve("fast", [0.2, 0.3, 0.4], 1)]
    final = next(f for f in analyse(curves, "slow").finals if f.model == "fast")
    assert final.difference is not None
    assert final.difference.seeds == 1


def test_the_schedule_matched_ratio_uses_the_shortest_schedule_with_the_same_ap():
    aps = {("slow", 10): 0.1, ("slow", 40): 0.4, ("fast", 10): 0.39, ("fast", 20): 0.41, ("fast", 40): 0.5}
    curves = [curve(model, [0.0, 0.0, ap], 0, epochs) for (model, epochs), ap in aps.items()]
    found = {s.model: s for s in analyse(curves, "slow").shortest}
    assert (found["fast"].epochs, found["fast"].ratio) == (20, 2.0)
    assert (found["slow"].epochs, found["slow"].ratio) == (40, 1.0)


def test_there_is_no_schedule_matched_ratio_to_a_reference_that_learned_nothing():
    curves = [curve(model, [0.0, 0.0, 0.0], 0, epochs) for model in ("slow", "fast") for epochs in (10, 40)]
    assert {(s.epochs, s.ratio) for s in analyse(curves, "slow").shortest} == {(None, None)}


def test_targets_are_those_of_the_longest_schedule_that_all_models_have():
    curves = [curve(m, ramp(0.01, e), 0, e) for m, e in (("slow", 10), ("slow", 40), ("fast", 10))]
    assert analyse(curves, "slow").longest == 10
