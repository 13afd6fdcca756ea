"""Imports point one way: each module may import only from layers below its own."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "condetr"
LAYERS = [  # ground first; names in one layer may not import one another
    {"errors", "image_keys", "shapes", "text"},
    {"arguments"},
    {"boxes", "config", "cpu", "files"},
    {"suggestions", "types"},
    {"scoring"},
    {"iou_scoring"},
    {"images", "engine", "reports"},
    {"detections"},
    {"decoding"},
    {"model", "datasets", "metrics"},
    {"objective", "runtime"},
    {"build", "recipes", "videos"},
    {"interchange"},
    {"checkpoint"},
    {"converting", "examining", "predicting"},
    {"evaluating", "explaining"},
    {"exporting", "serving", "training"},
    {"comparing", "demo"},
    {"cli"},
    {"__init__", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(p for p in SOURCE.rglob("*.py") if p.name != "__init__.py" or p.parent == SOURCE)


def imports(path: Path) -> set[str]:
    """Top-level names of this package that a module imports, wherever the import stands."""
    package = ("condetr", *path.relative_to(SOURCE).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            whole = [*base, *(node.module or "").split(".")] if node.module else list(base)
            found |= {whole[1]} if len(whole) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("condetr.")}
    return {name for name in found if (SOURCE / f"{name}.py").exists() or (SOURCE / name).is_dir()}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path: Path):
    own = path.relative_to(SOURCE).with_suffix("").parts[0]
    for other in imports(path) - {own}:
        assert LEVEL[other] < LEVEL[own], f"{own} (layer {LEVEL[own]}) imports {other} (layer {LEVEL[other]})"


def test_the_tree_is_two_deep_and_no_file_is_a_drawer():
    for path in MODULES:
        relative = path.relative_to(SOURCE)
        assert len(relative.parts) <= 2, relative
        assert relative.stem not in {"utils", "common", "misc", "core", "helpers"}, relative
