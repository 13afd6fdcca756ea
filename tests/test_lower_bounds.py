"""`constraints-lowest.txt` pins the lower bounds of `pyproject.toml`, with which `make lowest` tests the package."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
UNCHECKED = {"int8", "bulk", "tensorboard", "wandb", "mlflow", "trackio"}  # extras that `make lowest` does not install


def versions(lines: Iterable[str]) -> set[tuple[str, str]]:
    """The names with their lower bounds or pins, without zeros at the end: 1.0 and 1.0.0 are the same version."""
    found = (re.match(r"([\w-]+)[>=]=([\d.]+)", line) for line in lines)
    return {(match[1], re.sub(r"(\.0)+$", "", match[2])) for match in found if match}


def test_the_lowest_versions_are_the_lower_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert extras.keys() >= UNCHECKED
    required = project["dependencies"] + [one for name in extras.keys() - UNCHECKED for one in extras[name]]
    pinned = versions((ROOT / "constraints-lowest.txt").read_text().splitlines())
    assert pinned - {("torchvision", "0.21")} == versions(required)
    assert len(versions(required)) == len(set(required))
