"""The first line of another library's error, which messages quote."""

import pytest

from condetr.errors import first_line


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
