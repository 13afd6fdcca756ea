"""Every command in the README and the docs is one that the command line understands."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from condetr.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GROUP = typer.main.get_command(app)


def documented(page: str) -> list[tuple[str, bool]]:
    """The commands of a page, and whether each is meant to be complete: those in shell blocks are."""
    blocks = re.findall(r"^ *```(?:sh|bash|shell|console)\n(.*?)^ *```", page, re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    whole = [line.strip().removeprefix("$ ") for line in lines]
    prose = re.sub(r"```.*?```", "", page, flags=re.S)
    parts = [" ".join(code.split()) for code in re.findall(r"`(condetr [a-z][^`]*)`", prose)]
    return [(line, True) for line in whole if line.startswith("condetr ")] + [(part, False) for part in parts]


def words(command: str) -> list[str]:
    """The words after `condetr`, without comment, pipe and redirection. N, FILE or DIR stand for a value."""
    command = re.sub(r'…|\.\.\.|"\$@"', " ", command)
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";|&<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    found = []
    for word in list(lexer)[1:]:
        if re.fullmatch(r"[;|&<>]+", word):
            break
        found.append("1" if re.fullmatch(r"[A-Z]+", word) else word.strip("[]"))
    return [word for word in found if word]


def parse(command: str) -> None:
    """Parse it as the command line does, and run nothing. Raises Misused."""
    with GROUP.make_context("condetr", words(command), resilient_parsing=True) as context:
        name, chosen, rest = GROUP.resolve_command(context, words(command))
    if not {"-h", "--help"} & set(rest):
        chosen.make_context(name, rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_documented_commands_parse(page: Path, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    problems = []
    for command, complete in documented(page.read_text(encoding="utf-8")):
        for run in re.findall(r"[\w/]*runs/[\w/-]+", command):  # as after the training before
            Path(run).mkdir(parents=True, exist_ok=True)
        for file in re.findall(r"(?<![\w/.-])[\w-]+\.(?:pth|onnx|xml)\b", command):  # as downloaded or exported
            Path(file).touch()
        try:
            parse(command)
        except Exception as error:
            if complete or "is missing" not in str(error):
                problems.append(f"{command}: {error}")
    assert not problems, "\n".join(problems)


def test_the_readme_shows_commands() -> None:
    assert len(documented((ROOT / "README.md").read_text(encoding="utf-8"))) > 3


@pytest.mark.parametrize(
    "command",
    ["condetr predcit a.jpg", "condetr predict a.jpg --treshold 1", "condetr evaluate runs/a data/",
     "condetr train data/ --epochs many"],
)  # fmt: skip
def test_a_wrong_command_would_be_noticed(command: str, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=r"no such|takes only the data set|whole number"):
        parse(command)


@pytest.mark.parametrize(
    "command",
    ["condetr train DATA --epochs N   # a comment", "condetr predict - --out - | jq .file", "condetr explain IMAGE…"],
)
def test_placeholders_comments_and_pipes_are_understood(command: str, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    parse(command)
