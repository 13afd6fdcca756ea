"""Lines of the documentation are as short as those of the code, so that a diff and an editor show them whole."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LIMIT = 120
UNBREAKABLE = ("|", "![", "$$")  # rows of tables, images with their descriptions, formulas


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_are_short(page: Path):
    lines = page.read_text(encoding="utf-8").splitlines()
    long = [n for n, line in enumerate(lines, 1) if len(line) > LIMIT and not line.lstrip().startswith(UNBREAKABLE)]
    assert not long, f"lines {long} are longer than {LIMIT} characters"
