"""What is true of every subcommand."""

import pytest
import typer
from typer.testing import CliRunner

from condetr.cli.app import app, heeding
from condetr.errors import CondetrError


def test_ctrl_c_ends_in_a_line_and_130():
    own = typer.Typer()

    @own.command()
    @heeding
    def wait(number: int = 3) -> None:
        """Waits."""
        assert number == 4
        raise KeyboardInterrupt

    found = CliRunner().invoke(own, ["--number", "4"])
    assert isinstance(found.exception, CondetrError)
    assert (str(found.exception), found.exception.status) == ("interrupted", 130)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("train", "--epochs"), ("predict", "--threshold"), ("evaluate", "--split"), ("explain", "--layer"),
        ("compare", "--models"), ("doctor", "--out"), ("convert", "--to"), ("recipes", "NAME"), ("demo", "--out"),
        ("digits", "--size"),
    ],
)  # fmt: skip
def test_every_command_keeps_its_own_words(name: str, option: str):
    found = CliRunner().invoke(app, [name, "--help"])
    assert found.exit_code == 0
    assert option.lower() in found.output.lower()
