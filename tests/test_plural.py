"""A number of things is written as a person writes it."""

from condetr.plural import counted, listed


def test_only_one_is_singular():
    assert [counted(n, "epoch") for n in (0, 1, 12_000)] == ["0 epochs", "1 epoch", "12,000 epochs"]
    assert [counted(2, noun) for noun in ("process", "query", "box")] == ["2 processes", "2 queries", "2 boxes"]


def test_the_last_of_several_names_follows_a_conjunction():
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert listed(("a", "b", "c"), "or") == "a, b or c"
