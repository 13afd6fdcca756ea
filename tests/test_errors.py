"""The first line of another library's error, which messages quote; and errors that cross to another process."""

import pickle

import pytest

from condetr.comparing.compare import Interrupted
from condetr.errors import CondetrError, ConfigError, first_line
from condetr.training.run import Stopped


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("  the first\nthe second"), "the first"),
        (ValueError("\n\nlate"), "late"),
        (ValueError("The reasons are:\nthis one\nand another"), "The reasons are: this one"),
        (ValueError(), "ValueError"),
        (ValueError(" \n "), "ValueError"),
        (ValueError("x" * 200), "x" * 159 + "…"),
    ],
)
def test_a_message_is_one_short_line_and_never_empty(error: ValueError, line: str) -> None:
    assert first_line(error) == line


def test_a_text_replaces_the_message_but_not_the_name() -> None:
    assert first_line(ValueError("long\nstory"), "short") == "short"
    assert first_line(ValueError("long\nstory"), "") == "ValueError"


@pytest.mark.parametrize(
    "error",
    [Stopped("stopped", 15), Interrupted("stopped", 2), ConfigError("low", setting="train.lr", value="0", source="f")],
)
def test_an_error_of_another_process_is_the_same(error: CondetrError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.status, vars(copy)) == (type(error), str(error), error.status, vars(error))
