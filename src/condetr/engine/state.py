"""The state of a run on disk: one file with everything that a resumed run needs, written atomically.

Weights, their moving average, the optimizer's moments and the position in the run, as safetensors and JSON. No random
state is needed: all randomness is a function of the seed and the position. The newest two files are kept.
"""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import CondetrError, first_line
from ..files import replacing
from .ema import Average

VERSION = "1"
KEPT = 2


@dataclass(slots=True)
class Position:
    """The position in a run: `epoch` from 0, `step`s of it done, `total` steps done over all epochs.

    `sums` are the sums of the epoch's losses so far; `best_ap` was reached in epoch `best_epoch` (-1: none yet);
    `journal` is the journal's length in bytes; `data` is the fingerprint of the data set; `scaling` is the state of
    the loss scale.
    """

    data: str
    epoch: int = 0
    step: int = 0
    total: int = 0
    sums: list[float] = field(default_factory=list)
    best_ap: float = -1.0
    best_epoch: int = -1
    journal: int = 0
    scaling: dict[str, float] = field(default_factory=dict)
    finished: bool = False
    epochs: int = 0  # of the schedule; 0 in states of earlier versions


def write(
    folder: Path, position: Position, detector: nn.Module, average: Average | None, optimizer: torch.optim.Optimizer
) -> None:
    """Write a new state file, then remove all but the newest two.

    Raises CondetrError when it cannot be written; the earlier files are then intact.
    """
    tensors = {f"weights/{name}": tensor for name, tensor in detector.state_dict().items()}
    if average is not None:
        tensors |= {f"average/{name}": tensor for name, tensor in average.model.state_dict().items()}
    for name, parameter in detector.named_parameters():
        for key, tensor in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = tensor
    file = folder / f"step-{position.total:09d}.safetensors"
    metadata = {"condetr_state": VERSION, "place": json.dumps(asdict(position))}
    with replacing(file) as part:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, part, metadata)
    for old in sorted(files(folder))[:-KEPT]:
        old.unlink(missing_ok=True)


def files(folder: Path) -> list[Path]:
    """The state files, oldest first."""
    return sorted(p for p in folder.glob("step-*.safetensors") if re.fullmatch(r"step-\d+", p.stem))


def read_position(file: Path) -> Position:
    """The position that a state records, without its tensors. Raises CondetrError when the file is incomplete."""
    return _open(file, with_tensors=False)[1]


def read(
    file: Path, detector: nn.Module, average: Average | None, optimizer: torch.optim.Optimizer, device: torch.device
) -> Position:
    """Load a state into a run of the same config. Raises CondetrError when it is incomplete or of another run."""
    tensors, position = _open(file, with_tensors=True)
    tensors = _with_current_names(tensors, detector)
    try:
        detector.load_state_dict(_part(tensors, "weights"))
        if average is not None:
            average.model.load_state_dict(_part(tensors, "average"))
    except (RuntimeError, KeyError):
        raise CondetrError(
            f"{file}: the state does not fit the model that the run's config.json describes. Restore config.json, or "
            "start a new run with another `out`"
        ) from None
    moments = {"step", "exp_avg", "exp_avg_sq"}
    for name, parameter in detector.named_parameters():
        state = {key: tensors[f"{key}/{name}"] for key in moments if f"{key}/{name}" in tensors}
        if state and (set(state) != moments or state["exp_avg"].shape != parameter.shape):
            raise _broken(file, f"the optimizer's moments of {name} are incomplete")
        if state:
            optimizer.state[parameter] = {key: tensor.to(device) for key, tensor in state.items()}
    return position


def _open(file: Path, with_tensors: bool) -> tuple[dict[str, Tensor], Position]:
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            names = list(opened.keys()) if with_tensors else []
            tensors = {name: opened.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise _broken(file, f"not a complete state ({first_line(error, limit=120)})") from None
    if metadata.get("condetr_state") != VERSION:
        raise _broken(file, "written by another version of condetr")
    try:
        return tensors, Position(**json.loads(metadata["place"]))
    except (KeyError, TypeError, ValueError):
        raise _broken(file, "holds no position in the run") from None


def _with_current_names(tensors: dict[str, Tensor], learner: nn.Module) -> dict[str, Tensor]:
    """Rename the tensors of older states, which saved a detector that trained alone without its learner, and named the
    queries of further groups `more` or `extra_queries`."""
    if set(_part(tensors, "weights")) == set(learner.state_dict()):
        return tensors
    of_learner = any(name.startswith("weights/detector.") for name in tensors)
    renamed = {}
    for path, tensor in tensors.items():
        part, _, name = path.partition("/")
        if part != "average":
            new = re.sub(r"(?<![\w.])(more|extra_queries)\.weight", "parts.0.extra_queries.weight", name)
            name = new if of_learner else f"detector.{name}"
        renamed[f"{part}/{name}"] = tensor
    return renamed


def _part(tensors: dict[str, Tensor], group: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{group}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{group}/")}


def _broken(file: Path, what: str) -> CondetrError:
    others = [other for other in files(file.parent) if other < file]
    way = f"Remove it to resume from {others[-1].name}" if others else "Remove it to start the run again"
    return CondetrError(f"{file}: {what}. {way}")
