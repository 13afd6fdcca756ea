"""The result of a study, and the two files that it is written to."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..files import write_together
from ..plural import counted
from ..training.plan import images
from .convergence import Convergence, analyse
from .learning_curve import LearningCurve, Point
from .plan import Plan


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a study. `results` has all numbers, `unfinished` the names of the runs that are not finished,
    `problems` the reasons where they are known."""

    plan: Plan
    curves: tuple[LearningCurve, ...]
    results: Convergence
    parameters: dict[str, int]
    unfinished: tuple[str, ...]
    problems: tuple[str, ...]

    def __repr__(self) -> str:
        models, runs = ", ".join(self.plan.request.models), counted(len(self.curves), "finished run")
        return f"<Comparison of {models} on {self.plan.data.name}: {runs}>"

    def write(self, folder: Path) -> Path:
        """Write `comparison.json` and `report.html`; returns the path of the report."""
        from .page import page  # loads matplotlib, which the numbers do not need

        report = page(self.plan, self.results, self.curves, self.parameters, self.unfinished)
        record = json.dumps(self.to_dict(), indent=1) + "\n"
        write_together({folder / "report.html": report.html(), folder / "comparison.json": record})
        return folder / "report.html"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values: `runs` are the measurements, from which `recompute` gives `results`."""
        plan = self.plan
        return {
            "data": {"name": plan.data.name, "images": images(plan.data)},
            "request": plan.request.to_dict(),
            "schedule": asdict(plan.schedule),
            "machine": {"device": plan.device, "jobs": plan.jobs, "torch": torch.__version__},
            "parameters": self.parameters,
            "unfinished": list(self.unfinished),
            "runs": [asdict(curve) for curve in self.curves],
            "results": asdict(self.results),
        }


def recompute(values: Mapping[str, Any]) -> Convergence:
    """The results, computed only from the `runs` of a comparison.json."""
    curves = [
        LearningCurve(
            **{key: run[key] for key in ("model", "epochs", "seed")},
            points=tuple(Point(**point) for point in run["points"]),
            interval=tuple(run["interval"]) if run["interval"] else None,
        )
        for run in values["runs"]
    ]
    request = values["request"] if "request" in values else values["asked"]  # the key in older files
    return analyse(curves, request["reference"])
