"""What is true of every command: help without torch, one line for a mistake, and the exit status that shells expect."""

import io
import os
import re
import signal
import subprocess
import sys
from typing import get_type_hints

import pytest
import typer
from rich.console import Console
from typer.main import get_command
from typer.models import ArgumentInfo
from typer.testing import CliRunner

from condetr.checkpoint import load
from condetr.cli import app, main
from condetr.cli.app import GROUPS
from condetr.cli.command import Interrupted, explanation, guarded
from condetr.cli.progress import progress_bar
from condetr.cli.stopping import Terminated
from condetr.errors import CondetrError, WeightsError
from condetr.suggestions import missing_folder

COMMANDS = ("train", "predict", "evaluate", "explain", "compare", "doctor", "convert", "recipes", "demo", "digits")


def process(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "condetr", *words], capture_output=True, timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        encoding=environment.get("PYTHONIOENCODING", "utf-8"),
    )  # fmt: skip


def called(monkeypatch, capsys, *words: str) -> tuple[int, str, str]:
    """The command line in this process: exit status, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["condetr", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


@pytest.mark.parametrize("command", [*COMMANDS, "bulk", "export", "serve"])
def test_the_help_names_arguments_without_python_types(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout
    assert not re.search(r"<\w+", shown), shown
    kinds = ["Options:"] if command in ("demo", "serve") else ["Arguments:", "Options:"]
    assert [line for line in shown.splitlines() if line in ("Arguments:", "Options:")] == kinds


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Terminated])
def test_ctrl_c_and_sigterm_end_in_one_line_and_their_status(stop: type[BaseException]) -> None:
    own = typer.Typer()

    @own.command()
    @guarded
    def wait(number: int = 3) -> None:
        """Waits."""
        assert number == 4
        raise stop

    found = CliRunner().invoke(own, ["--number", "4"])
    assert isinstance(found.exception, CondetrError)
    status = 143 if stop is Terminated else 130
    assert (str(found.exception), found.exception.status) == ("interrupted", status)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("train", "--epochs"), ("predict", "--threshold"), ("evaluate", "--split"), ("explain", "--layer"),
        ("compare", "--models"), ("doctor", "--out"), ("convert", "--to"), ("recipes", "NAME"), ("demo", "--out"),
        ("digits", "--size"),
    ],
)  # fmt: skip
def test_every_command_keeps_its_own_options(name: str, option: str) -> None:
    for flag in ("--help", "-h"):
        found = CliRunner().invoke(app, [name, flag])
        assert found.exit_code == 0
        assert option.lower() in found.output.lower()
        assert found.output.isascii()  # the parser prints UTF-8 whatever the console is


def test_help_lists_every_command_in_its_group() -> None:
    found = CliRunner().invoke(app, ["-h"])
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", found.output, re.M), name
    assert found.output.index("First steps:") < found.output.index("  demo ") < found.output.index("Data and training:")
    assert CliRunner().invoke(app, []).output == found.output


def test_the_version_is_printed_and_needs_no_torch() -> None:
    code = "import sys; sys.argv=['condetr','--version']\nfrom condetr.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"condetr \d+\.\d+\S* \(torch \d+\.\d+\S*, Python 3\.\d+\.\d+\)\nFalse\n", printed)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian", "x"], "trian: no such command. Did you mean train?"),
        (["frobnicate"], "frobnicate: no such command. See `condetr --help`"),
        (["predict", "a", "--treshold", "3"], "--treshold: no such option. Did you mean --threshold?"),
        (["train", "a", "--overwrite"], "--overwrite: no such option. See `condetr train --help`"),
        (["train", "a", "--image-size", "64"], "--image-size: no such option. Did you mean --size?"),
        (["--foo"], "--foo: no such option. See `condetr --help`"),
        (["predict"], "IMAGES is missing. See `condetr predict --help`"),
        (["bulk", "images"], "--out is missing. See `condetr bulk --help`"),
        (["compare", "x", "--size", "64"], "--size: no such option. Use --set data.size=64"),
        (["compare", "x", "--lr=1e-4"], "--lr: no such option. Use --set train.lr=1e-4"),
        (["doctor", "x", "{y}"], "{y}: one argument too many. See `condetr doctor --help`"),
        (["train", "x", "--epochs", "ten"], "--epochs ten: must be a whole number"),
        (["train", "x", "--lr=much"], "--lr much: must be a number"),
        (["predict", "x", "--batch", "0"], "--batch 0: must be at least 1"),
        (["train", "x", "--epochs"], "--epochs: give a value after it"),
    ],
)
def test_words_that_are_not_understood_are_one_line_and_status_2(monkeypatch, capsys, words, message) -> None:
    assert called(monkeypatch, capsys, *words) == (2, "", f"condetr: {message}\n")


def test_a_misspelt_folder_is_suggested(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("data", "runs/birds/best", "images"):
        (tmp_path / folder).mkdir(parents=True)
    for words, message in (
        (["doctor", "dtaa/"], "dtaa: no such file or folder. Did you mean data?"),
        (["train", "Data/"], "Data: no such file or folder. Did you mean data?"),
        (["predict", "images", "--weights", "runs/brids/best"],
         "--weights runs/brids/best: no such folder. Did you mean runs/birds/best?"),
    ):  # fmt: skip
        assert called(monkeypatch, capsys, *words) == (1, "", f"condetr: {message}\n")


def test_a_hub_id_is_not_taken_for_a_misspelt_folder(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mircosoft").mkdir()
    _, _, errors = called(monkeypatch, capsys, "predict", "nowhere.jpg", "--weights", "microsoft/detr")
    assert "Did you mean mircosoft" not in errors


def test_a_local_path_is_never_asked_for_at_the_hub(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("condetr.interchange.hub.snapshot_download", None)
    (tmp_path / "photos").mkdir()
    train_first = "no such file or folder. Train it first: `condetr train DATA --out runs/birds`"
    evaluate, explain = ("evaluate", "photos", "--weights"), ("explain", "a.jpg", "--weights")
    for words in (("predict", "photos", "--weights"), evaluate, explain, ("train", "photos", "--init")):
        line = f"condetr: {words[-1]} runs/birds: {train_first}\n"
        assert called(monkeypatch, capsys, *words, "runs/birds") == (1, "", line)
    for words in (("export", "runs/birds"), ("convert", "runs/birds", "out"), ("benchmark", "runs/birds", "photos")):
        assert called(monkeypatch, capsys, *words) == (1, "", f"condetr: runs/birds: {train_first}\n")
    owner = "no such file or folder. If the repository on the hub is meant, write photos/birds@main"
    suggested = "no such folder. Did you mean runs/birds-2?"
    for source, line in (("photos/birds", owner), ("runs/birds", suggested), ("rnus/birds-2", suggested)):
        (tmp_path / "runs" / "birds-2").mkdir(parents=True, exist_ok=True)
        assert called(monkeypatch, capsys, *explain, source) == (1, "", f"condetr: --weights {source}: {line}\n")
        with pytest.raises(WeightsError) as error:
            load(source)
        assert str(error.value) == f"{source}: {line}"
    (tmp_path / "microsoft").mkdir()  # a folder with the name of an owner hides no published weights
    assert missing_folder("microsoft/conditional-detr-resnet-50") is None
    assert missing_folder("microsoft/other") is not None


def test_a_name_cannot_control_the_terminal(monkeypatch, capsys) -> None:
    status, _, errors = called(monkeypatch, capsys, "doctor", "a\x1b[2Jb\u202e")
    assert (status, errors) == (1, "condetr: a\\x1b[2Jb\\u202e: no such file or folder\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_help_and_errors_survive_a_console_that_is_not_utf_8(encoding: str) -> None:
    done = process("train", "--help", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    done = process("doctor", "große Bilder ≥ 狗", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Bilder" in done.stderr


@pytest.mark.parametrize("module", ["condetr.cli.app", "typer", "torch"])
def test_ctrl_c_during_imports_is_one_line(module: str) -> None:
    code = (
        "import runpy, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "sys.argv = ['condetr', 'doctor', 'tests', '--quiet']\n"
        "runpy.run_module('condetr', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "condetr: interrupted\n")


def test_the_end_of_the_program_does_not_search_the_objects_of_its_libraries_for_cycles() -> None:
    code = (
        "import atexit, gc, runpy, sys\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "sys.argv = ['condetr', '--version']\n"
        "runpy.run_module('condetr', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "True")


def test_a_signal_that_python_wraps_in_an_error_is_an_interrupt() -> None:
    def command() -> None:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    with pytest.raises(Interrupted, match="interrupted"):
        guarded(command)()


SIGNALLED = """
import os, runpy, signal, sys, threading, time
number, pause = int(sys.argv[1]), float(sys.argv[2])
signal.signal(signal.SIGINT, signal.default_int_handler)  # which may be ignored in the background
def send():
    for _ in range(2):
        os.kill(os.getpid(), number)
        time.sleep(pause)
class Signalling:
    def find_spec(self, name, *_):
        if name == "torch":
            sys.meta_path.remove(self)
            threading.Thread(target=send).start()
            time.sleep(1)
sys.meta_path.insert(0, Signalling())
import atexit; atexit.register(lambda: time.sleep(0.5))  # as the end of torch
sys.argv = ["condetr", "doctor", "tests", "--quiet"]
runpy.run_module("condetr", run_name="__main__")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("pause", [0.01, 0.3])
def test_a_signal_that_comes_twice_is_one_line(number: signal.Signals, pause: float) -> None:
    """`timeout` sends it to the process and again to its group. One that comes later, at the end, has no traceback."""
    command = [sys.executable, "-c", SIGNALLED, str(int(number)), str(pause)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stderr == "condetr: interrupted\n"
    assert done.returncode == 128 + number or (pause > 0.1 and done.returncode == -number)


def test_a_closed_pipe_ends_quietly() -> None:
    command = [sys.executable, "-m", "condetr", "recipes", "small"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == 141


@pytest.mark.parametrize("words", [("recipes",), ("compare", "--help"), ("--version",)], ids=" ".join)
def test_a_full_disk_is_one_line(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "condetr", *words], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"condetr: standard output: cannot be written (No space left on device)\n"


@pytest.mark.parametrize(("terminal", "hidden"), [(True, False), (True, True), (False, False)])
def test_a_progress_bar_is_shown_on_a_terminal_alone(terminal: bool, hidden: bool, monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    with progress_bar("images", console, hidden) as count:
        count(2.5, 10)
    shown = console.file.getvalue()
    assert ("images" in shown and "2/10" in shown) == (terminal and not hidden)
    assert terminal or not shown


def test_a_dumb_terminal_shows_no_bar(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with progress_bar("images", console) as count:
        count(2.5, 10)
    assert console.file.getvalue() == ""


@pytest.mark.parametrize("columns", ["40", "80"])
def test_names_of_recipes_are_whole_on_every_terminal(columns: str) -> None:
    shown = process("recipes", COLUMNS=columns).stdout
    assert "conditional_detr_dc5_r101 " in shown
    assert re.search(r"^small .* 10–50$", shown, re.MULTILINE)  # by the number of images


def test_a_file_whose_name_begins_with_a_dash_is_not_taken_for_an_option(monkeypatch, capsys, tmp_path) -> None:
    (tmp_path / "-dash.png").touch()
    monkeypatch.chdir(tmp_path)
    status, _, message = called(monkeypatch, capsys, "predict", "-dash.png")
    assert (status, message) == (
        2, "condetr: -dash.png: no such option. If the file is meant, write ./-dash.png\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.png"), "a.png: No such file or directory"),
        (PermissionError(13, "Permission denied", b"\xff"), "\udcff: Permission denied"),
        (OSError(28, "No space left on device", "x"), "x: No space left on device"),
        (OSError(28, "No space left on device"), "a file cannot be written (No space left on device)"),
        (MemoryError(), "out of memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), "out of memory"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), "out of memory"),
        (NotImplementedError("The operator 'aten::x' is not implemented for the MPS device"), "this device, mps"),
    ],
)
def test_failures_of_the_system_are_one_line(error: Exception, line: str) -> None:
    assert str(explanation(error)).startswith(line)
    assert "\n" not in str(explanation(error))


@pytest.mark.parametrize("error", [RuntimeError("a bug"), NotImplementedError("abstract"), OSError("odd")])
def test_other_errors_keep_their_traceback(error: Exception) -> None:
    assert explanation(error) is None


def test_a_folder_that_is_gone_is_one_line(tmp_path) -> None:
    (tmp_path / "gone").mkdir()
    code = "import os; os.chdir('gone'); os.rmdir('../gone'); from condetr.cli import main; main()"
    command = [sys.executable, "-c", code, "predict", "a.png", "--weights", "w"]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, text=True)
    assert done.returncode == 1
    assert done.stderr == "condetr: the current folder does not exist any more. Change to another one\n"


@pytest.mark.parametrize("command", [one for commands in GROUPS.values() for one in commands])
def test_a_flag_is_explicit_where_the_metavar_repeats_it(command) -> None:
    """typer 0.27.0 takes an option `lr` with the metavar `LR` for `--LR`."""
    for name, hint in get_type_hints(command, include_extras=True).items():
        for option in getattr(hint, "__metadata__", ()):
            explicit = str(option.default).startswith("--")  # in an annotation the first word is a flag, no default
            repeats = (option.metavar or "").replace("_", "-").lower() == name.replace("_", "-")
            assert explicit or isinstance(option, ArgumentInfo) or not repeats, name


def test_an_option_is_the_same_in_every_command_that_detects() -> None:
    """Its help, its placeholder and, where both predict, its default."""
    commands = get_command(app).commands
    detecting = [commands[name].params for name in ("predict", "bulk", "serve", "evaluate", "explain")]
    options = [one for params in detecting for one in params if one.param_type_name == "option"]
    own = {"weights", "out"}  # what is named or written differs
    for name in {one.name for one in options} - own:
        assert len({(one.help, one.metavar, *one.opts) for one in options if one.name == name}) == 1, name
    predict, bulk = ({one.name: one.default for one in params} for params in detecting[:2])
    for name in predict.keys() & bulk.keys() - {"out"}:
        assert predict[name] == bulk[name], name
