"""What a terminal shows: names cannot control it, numbers are whole at every width, and plain ASCII suffices."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from condetr.reports.terminal import Column, FittedTable, printable, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb\udcff ü", "a\\x1b[2Jb\\udcff ü"),
        ("cat\u202egpj.exe", "cat\\u202egpj.exe"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("\x9b31m\x07", "\\x9b31m\\x07"),
        ("zażółć 狗 [bold]", "zażółć 狗 [bold]"),
    ],
)
def test_control_characters_become_visible_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(codec=None)))
def test_nothing_that_controls_a_terminal_is_left(text: str) -> None:
    assert all(unicodedata.category(c)[0] != "C" for c in printable(text))


@given(st.text(st.characters(categories=("L", "N", "P")), max_size=60), st.integers(4, 40))
def test_a_shortened_name_fits(text: str, width: int) -> None:
    short = shortened(text, width)
    assert cell_len(short) <= max(width, 1)
    assert short == text or "…" in short


def table() -> FittedTable:
    made = FittedTable(
        Column("class", kind="name"), Column("objects", 2), Column("AP"), Column("AP50", 1), Column("score ≥", 3)
    )
    made.add_row("cat", "1,234", "0.123", "0.456", "0.789")
    made.add_row("a long name that is the first\x1b[2J to make room", "7", "0.001", "0.002", "0.003", style="bold")
    return made


def rendered(made: FittedTable, width: int, encoding: str = "utf-8") -> str:
    console = Console(width=width, force_terminal=False)
    options = console.options.copy()
    options.encoding = encoding
    with console.capture() as captured:
        for line in console.render_lines(made, options, pad=False):
            console.print(Text("".join(segment.text for segment in line)), soft_wrap=True)
    return captured.get()


@pytest.mark.parametrize("width", range(20, 130, 7))
def test_numbers_are_whole_at_every_width(width: int) -> None:
    text = rendered(table(), width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert "…." not in text
    for number in re.findall(r"0\.\d+", text):
        assert re.fullmatch(r"0\.\d{3}", number)
    assert text.count("0.123") == 1
    assert "\x1b" not in text


def test_columns_leave_in_their_order_and_are_named() -> None:
    assert "too narrow" not in rendered(table(), 60)
    assert "too narrow for: score ≥\n" in rendered(table(), 40)
    assert "too narrow for: objects, score ≥" in " ".join(rendered(table(), 31).split())
    assert "too narrow for: objects, AP50, score ≥" in " ".join(rendered(table(), 20).split())


def test_a_wide_terminal_shows_names_in_full() -> None:
    assert "a long name that is the first\\x1b[2J to make room" in rendered(table(), 120)


@pytest.mark.parametrize("width", [8, 14, 20, 40])
def test_numbers_are_whole_also_where_no_column_may_leave(width: int) -> None:
    made = FittedTable(Column("split", kind="name"), *(Column(name) for name in ("images", "objects", "others")))
    made.add_row("validation", "1,234", "98,765", "0.123")
    text = rendered(made, width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert text.count("1,234") == (width > 8)
    assert set(re.findall(r"[\d,.]{2,}", text)) <= {"1,234", "98,765", "0.123"}
    missing = " ".join(text.split()).partition("too narrow for: ")[2]
    assert all(name in text.split() for name in ("images", "objects", "others") if name not in missing)


def test_a_word_that_is_wider_than_the_terminal_is_folded() -> None:
    made = FittedTable(Column("recipe", kind="word"), Column("epochs", 1))
    made.add_row("conditional_detr_dc5_r101", "50")
    assert "conditional_detr_dc5\n_r101" in rendered(made, 20).replace(" ", "")


def test_escapes_of_another_encoding_do_not_move_the_columns() -> None:
    made = FittedTable(Column("class", kind="name"), Column("AP"))
    made.add_row("狗 ñ ≥", "0.123")
    made.add_row("cat", "0.456")
    lines = rendered(made, 60, "cp1252").split("\n")
    assert [line.index("0.") for line in lines if "0." in line] == [13, 13]
    assert "\\u72d7 ñ >=" in rendered(made, 60, "cp1252")


@pytest.mark.parametrize("width", [20, 40, 120])
def test_a_terminal_without_unicode_gets_ascii(width: int) -> None:
    assert rendered(table(), width, "cp1252").isascii()


def test_a_text_is_wrapped_below_its_heading() -> None:
    made = FittedTable(Column("count"), Column("meaning", kind="text"))
    made.add_row("3", "a sentence of several words that is longer than the terminal is wide")
    lines = [line.rstrip() for line in rendered(made, 40).splitlines() if line.strip()]
    assert len(lines) == 5
    assert lines[-1] == " " * 7 + "wide"
