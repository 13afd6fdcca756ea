"""Imports point one way: each module may import only from layers below its own, and no imports form a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "condetr"
LAYERS = [  # ground first; names in one layer may not import one another
    {"errors", "home", "image_keys", "own_folders", "plural", "shapes", "text"},
    {"arguments", "extras"},
    {"box_arrays", "boxes", "config", "cpu", "files"},
    {"suggestions", "types"},
    {"class_names", "scoring"},
    {"iou_scoring"},
    {"images", "engine", "reports"},
    {"detections"},
    {"decoding"},
    {"model", "datasets", "metrics"},
    {"objective", "runtime"},
    {"build", "recipes", "videos"},
    {"interchange"},
    {"checkpoint"},
    {"converting", "examining", "growing", "predicting", "sampling"},
    {"bulk_predicting"},
    {"evaluating", "explaining"},
    {"exporting", "serving", "training"},
    {"comparing", "demo"},
    {"cli"},
    {"__init__", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(p for p in SOURCE.rglob("*.py") if p.name != "__init__.py" or p.parent == SOURCE)


def imported(path: Path) -> set[tuple[str, ...]]:
    """The modules of this package that a module imports, wherever the import stands, as ("room", "module")."""
    package = path.relative_to(SOURCE).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
            base = tuple(part for part in base if part)
            found |= {(*base, alias.name) if is_module((*base, alias.name)) else base for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {tuple(a.name.split(".")[1:]) for a in node.names if a.name.startswith("condetr.")}
    return {module for module in found if is_module(module)}


def is_module(parts: tuple[str, ...]) -> bool:
    path = SOURCE.joinpath(*parts)
    return bool(parts) and (path.with_suffix(".py").exists() or path.is_dir())


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path: Path):
    own = path.relative_to(SOURCE).with_suffix("").parts[0]
    for other in {module[0] for module in imported(path)} - {own}:
        assert LEVEL[other] < LEVEL[own], f"{own} (layer {LEVEL[own]}) imports {other} (layer {LEVEL[other]})"


def test_what_is_below_build_takes_numbers_and_modules_and_no_config():
    """`build.py` makes objects from a config. A config is read and written, as a whole, with a file that has one."""
    with_a_config = {("runtime", "file_facts")}
    for path in MODULES:
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts[0] != "config" and LEVEL[parts[0]] < LEVEL["build"] and parts not in with_a_config:
            assert "config" not in {module[0] for module in imported(path)}, parts


def test_no_modules_import_one_another_in_a_circle():
    modules = {path.relative_to(SOURCE).with_suffix("").parts: path for path in SOURCE.rglob("*.py")}
    rooms = {parts[:-1]: path for parts, path in modules.items() if parts[-1] == "__init__"}
    TopologicalSorter({parts: imported(path) for parts, path in (modules | rooms).items() if parts}).prepare()


def test_the_tree_is_two_deep_and_no_file_is_a_drawer():
    for path in MODULES:
        relative = path.relative_to(SOURCE)
        assert len(relative.parts) <= 2, relative
        assert relative.stem not in {"utils", "common", "misc", "core", "helpers"}, relative
