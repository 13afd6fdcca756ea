"""A number of things is written as a person writes it."""

from condetr.plural import counted


def test_only_one_is_singular():
    assert [counted(n, "epoch") for n in (0, 1, 12_000)] == ["0 epochs", "1 epoch", "12,000 epochs"]
    assert [counted(2, noun) for noun in ("process", "query", "box")] == ["2 processes", "2 queries", "2 boxes"]
