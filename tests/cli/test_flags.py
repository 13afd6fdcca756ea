"""Arguments that a message names in backticks are printed as flags."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from condetr.cli import app
from condetr.cli.flags import as_typed
from condetr.errors import CondetrError

SOURCE = Path(__file__).parents[2] / "src" / "condetr"
FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
COMMAND = re.compile(r"`(?:condetr|hf) [^`]*`")  # to be typed in a shell as it is
BOTH = re.compile(r"\w+, on the command line --[\w-]+")
STYLE = re.compile(r"var\(--[^)]*\)|style=\"[^\"]*\"")  # of a page


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("continue with `resume=True`", "continue with --resume"),
        ("`resume=True, epochs=60` trains longer", "--resume --epochs 60 trains longer"),
        ("`settings={'train.lr': 0.1, 'a.b': 'stem'}`", "--set train.lr=0.1 --set a.b=stem"),
        ("`condetr.train('my birds', recipe='small')`", "condetr train 'my birds' --recipe small"),
        ("`init='runs/my birds/last', out=ANOTHER`", "--init 'runs/my birds/last' --out ANOTHER"),
        ("`models=['a', 'b'], hold_out=0.15`", "--models a,b --hold-out 0.15"),
        ("`settings={'data.scales': [0.5, 1], 'a': True}`", "--set data.scales='[0.5, 1]' --set a=true"),
        ("`at=(X, Y)` or `settings={'identity:train.lr': 1}`", "--at X,Y or --set identity:train.lr=1"),
        ("`trackers='comet'`: no such tracker", "--track comet: no such tracker"),
        ("`condetr doctor birds` and `hf auth login`", "`condetr doctor birds` and `hf auth login`"),
        ("a file `x y`, `epochs` outside a command, `f(1)`, `", "a file `x y`, `epochs` outside a command, `f(1)`, `"),
    ],
)
def test_arguments_are_named_as_they_are_typed(written, typed):
    assert as_typed(written) == typed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("predict a.png --weights w --tile 64 --overlap 3", "--overlap 3: must be a number between 0 and 0.75"),
        ("predict a.png --weights w --overlap=.30", "--overlap .30: only with tiles. Add --tile N"),
        ("predict a.png --weights w --tile 07", "--tile 07: must be at least 32 pixels"),
        ("predict a.png --weights w --nms 1.50", "--nms 1.50: must be a number between 0 and 1, or none"),
        ("explain a.png --weights w --nms=2", "--nms 2: must be a number between 0 and 1, or none"),
        ("predict a.png --weights w --end 2 --start 3", "--end 2: must be later than --start 3"),
        ("sample a.mp4 --end 2 --start 0:03", "--end 2: must be later than --start 0:03"),
        ("compare d --models detr,identity --budget 0", "--budget 0: must be above 0"),
        ("compare d --models detr,identity --epochs 07,00", "--epochs 0: must be at least 1"),
        ("compare d --models detr,identity --hold-out 2.50", "--hold-out 2.50: must be a number between 0 and 1"),
        ("train d --recipe nano --lr -1e-4", "--lr -1e-4: must be greater than 0"),
        ("train d --recipe nano --set train.lr=-1E-4", "--set train.lr=-1E-4: must be greater than 0"),
    ],
)
def test_numbers_are_shown_as_they_were_typed(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    Path("d").mkdir()
    with pytest.raises(CondetrError) as raised:
        CliRunner().invoke(app, words.split(), catch_exceptions=False)
    assert str(raised.value) == message


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_messages_of_the_python_api_name_no_flag_of_the_command_line(path):
    """They name arguments, in backticks, and the command line prints these as flags."""
    if path.parent.name == "cli" or path.name == "unread.py":  # the commands of other tools
        return
    for text in _texts(ast.parse(path.read_text())):
        for allowed in (BOTH, COMMAND, STYLE):
            text = allowed.sub("", text)
        assert set(FLAG.findall(text)) <= {"--revision", "--set"}, text  # of `hf download`; of `named_as_typed`


def _texts(tree: ast.AST) -> Iterator[str]:
    """The string literals of a module except docstrings, each f-string in one piece."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield from _texts(node)
