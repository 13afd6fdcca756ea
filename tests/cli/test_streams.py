"""Standard output and standard error that are closed, full, or a terminal that is gone: results are kept apart from
messages, and no message ends a command."""

import json
import os
import subprocess
import sys
from shlex import quote

import pytest

from condetr.cli.streams import StandardOutput, discard_output, results
from condetr.errors import CondetrError
from tests import generated


def test_results_that_cannot_be_written_name_standard_output(monkeypatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(CondetrError, match="standard output: cannot be written"):
            print("a line", file=StandardOutput(), flush=True)


def test_a_table_to_a_closed_pipe_raises_as_print_does(monkeypatch) -> None:
    """rich itself exits with status 1, in the middle of a training."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(BrokenPipeError):
            results().print("a line")
        discard_output()


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_messages_without_a_standard_error_are_dropped(closed: str, tmp_path) -> None:
    """They neither end the command nor come between the results."""
    generated.write(tmp_path / "data", {"train": 2, "valid": 1})
    command = f"{quote(sys.executable)} -m condetr doctor data --json --out page {closed}"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0
    assert json.loads(done.stdout)["splits"]
    assert list((tmp_path / "page").glob("*.html"))


def test_no_file_takes_the_descriptor_of_a_closed_stream(tmp_path) -> None:
    """Else what a library writes to standard error lands in the weights."""
    code = "import os, condetr.cli.streams as s; s.open_closed_streams(); print(os.open('kept', os.O_CREAT) > 2)"
    command = f'{quote(sys.executable)} -c "{code}" <&- 2>&-'
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, stdout=subprocess.PIPE).stdout == b"True\n"


def test_a_closed_terminal_is_written_to_without_an_error() -> None:
    primary, secondary = os.openpty()
    command = "import os, sys, condetr.cli.streams as s; os.read(0, 1); s.abandon_terminal(); print(1, flush=True)"
    with subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=secondary) as running:
        os.close(secondary)
        os.close(primary)
        running.communicate(b"x")
    assert running.returncode == 0
