"""The code in the guide to extending condetr runs as it is written there."""

import re
from pathlib import Path

import pytest
import torch

DOCUMENT = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", DOCUMENT, re.S | re.M))
INTRODUCTION = DOCUMENT.partition("\n## ")[0]

if not hasattr(torch.ops.torchvision, "nms"):  # torchvision's ordinary wheel stops a CPU torch without these two
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def code(text: str) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.S | re.M))


@pytest.mark.parametrize("section", SECTIONS)
def test_the_code_of_a_section_runs(section):
    """After the introduction's, and with nothing else."""
    torch.manual_seed(0)
    assert "assert" in code(SECTIONS[section])
    exec(compile(code(INTRODUCTION) + "\n" + code(SECTIONS[section]), f"extending.md: {section}", "exec"), {})


def test_all_four_kinds_of_extension_have_a_section_of_at_most_forty_lines_of_code():
    assert len(SECTIONS) == 4
    assert all(len(code(text).splitlines()) <= 40 for text in SECTIONS.values())
