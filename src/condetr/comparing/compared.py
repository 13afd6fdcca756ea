"""What a study plans and what it has shown, and the two files that say so."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..datasets.dataset import DataSet
from ..files import write_text
from ..training.plan import images
from .curve import Curve, Point
from .page import page
from .runner import Advanced, Ended
from .statistics import Comparison
from .statistics import compare as count
from .study import Asked, Fitted, Run


@dataclass(frozen=True, slots=True)
class Planned:
    """What will happen: `seconds` for what is left to do is an estimate (None when nothing is)."""

    data: DataSet
    asked: Asked
    fitted: Fitted
    runs: tuple[Run, ...]
    left: tuple[Run, ...]
    seconds: float | None
    per_epoch: dict[str, float]
    jobs: int
    device: str
    out: Path


@dataclass(frozen=True, slots=True)
class Compared:
    """What a study has shown. `unfinished` are the names of runs that are not done, `problems` why, where known."""

    planned: Planned
    curves: tuple[Curve, ...]
    comparison: Comparison
    parameters: dict[str, int]
    unfinished: tuple[str, ...]
    problems: tuple[str, ...]


Event = Planned | Advanced | Ended
Told = Callable[[Event], None]


def write(compared: Compared, folder: Path) -> None:
    """Write `comparison.json` and `report.html`."""
    write_text(folder / "comparison.json", json.dumps(as_json(compared), indent=1) + "\n")
    planned = compared.planned
    page(
        compared.comparison, compared.curves, planned.asked, planned.fitted, planned.data, compared.parameters,
        compared.unfinished, (planned.device, planned.jobs),
    ).save(folder / "report.html")  # fmt: skip


def as_json(compared: Compared) -> dict[str, Any]:
    """Everything as plain values: `runs` are the measurements, `results` is what `recomputed` makes of them."""
    planned = compared.planned
    return {
        "data": {"name": planned.data.name, "images": images(planned.data)},
        "asked": planned.asked.plain(),
        "planned": asdict(planned.fitted),
        "machine": {"device": planned.device, "jobs": planned.jobs, "torch": torch.__version__},
        "parameters": compared.parameters,
        "unfinished": list(compared.unfinished),
        "runs": [asdict(curve) for curve in compared.curves],
        "results": asdict(compared.comparison),
    }


def recomputed(values: Mapping[str, Any]) -> Comparison:
    """The results again, from the `runs` of a comparison.json alone."""
    curves = [
        Curve(
            **{key: run[key] for key in ("model", "epochs", "seed")},
            points=tuple(Point(**point) for point in run["points"]),
            interval=tuple(run["interval"]) if run["interval"] else None,
        )
        for run in values["runs"]
    ]
    return count(curves, values["asked"]["reference"])
