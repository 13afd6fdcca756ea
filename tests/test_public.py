"""What the package promises to those who only import or start it."""

import ast
import re
import subprocess
import sys
from importlib.metadata import distributions, requires
from pathlib import Path

import condetr

SOURCE = Path(condetr.__file__).parent


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_condetr_does_not_import_torch():
    assert run("import condetr, sys; print('torch' in sys.modules)").strip() == "False"


def test_help_does_not_import_torch():
    code = "import sys; sys.argv=['condetr','--help']; import condetr.cli\n"
    code += "try: condetr.cli.main()\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    assert run(code).strip().endswith("False")


def test_every_public_name_is_there():
    for name in condetr.__all__:
        assert getattr(condetr, name) is not None


def test_only_the_command_line_prints_or_exits():
    for path in SOURCE.rglob("*.py"):
        if path.parent.name == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "exit", "quit", "input"}, f"{path.name}:{node.lineno}"


def test_nothing_is_unpickled_and_nothing_is_run():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*(import|from) (pickle|marshal|shelve|dill|joblib)", text, re.M), path
        assert not re.search(r"(?<![.\w])(eval|exec)\(", text), path
        for line in re.findall(r".*torch\.load\(.*", text):
            assert "weights_only=True" in line, f"{path}: {line}"


def test_the_base_install_is_short():
    """No more than 48 distributions that are not CUDA's."""

    def canonical(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    installed = {canonical(d.metadata["Name"]) for d in distributions()}
    seen: set[str] = set()
    waiting = ["condetr"]
    while waiting:
        name = canonical(waiting.pop())
        if name in seen or name not in installed:
            continue
        seen.add(name)
        for line in requires(name) or []:
            requirement, _, marker = line.partition(";")
            if "extra" in marker:
                continue
            waiting.append(re.split(r"[\s\[<>=!~;(]", requirement.strip())[0])
    cuda = {name for name in seen if name.startswith(("nvidia", "cuda", "triton"))}
    assert 10 < len(seen - cuda) <= 48, sorted(seen)


def test_everything_runs_without_the_shape_checker():
    """jaxtyping is for the tests: an ordinary install has none."""
    block = "import sys; sys.modules['jaxtyping'] = None\n"
    names = [".".join(p.relative_to(SOURCE.parent).with_suffix("").parts) for p in SOURCE.rglob("*.py")]
    code = block + "\n".join(f"import {name.removesuffix('.__init__')}" for name in sorted(names))
    assert run(code + "\nprint('whole')").strip() == "whole"
