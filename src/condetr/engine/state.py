"""Where a run stands, on disk: one file that holds everything a resumed run needs, written whole or not at all.

Weights, their average, the optimizer's moments and where they were reached: safetensors with a line of JSON, nothing
that could run code. No random state is needed, for all randomness is a function of seed and place in the run.
The file before the newest is kept.
"""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import CondetrError
from ..files import replacing
from .ema import Average

VERSION = "1"
KEPT = 2


@dataclass(slots=True)
class Place:
    """Where a run is: `epoch` from 0, `step` of it done, `total` steps done over all epochs.

    `sums` are the epoch's so far; `best_ap` was reached in epoch `best_epoch` (-1: none yet); `journal` is the
    journal's length in bytes; `data` is the fingerprint of what is trained on.
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


def write(
    folder: Path, place: Place, detector: nn.Module, average: Average | None, optimizer: torch.optim.Optimizer
) -> None:
    """Write a state beside those that are there, then remove all but the newest two.

    Raises CondetrError when it cannot be written; what was there is then intact.
    """
    tensors = {f"weights/{name}": tensor for name, tensor in detector.state_dict().items()}
    if average is not None:
        tensors |= {f"average/{name}": tensor for name, tensor in average.model.state_dict().items()}
    for name, parameter in detector.named_parameters():
        for key, tensor in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = tensor
    file = folder / f"step-{place.total:09d}.safetensors"
    metadata = {"condetr_state": VERSION, "place": json.dumps(asdict(place))}
    with replacing(file) as part:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, part, metadata)
    for old in sorted(files(folder))[:-KEPT]:
        old.unlink(missing_ok=True)


def files(folder: Path) -> list[Path]:
    """The states there are, oldest first."""
    return sorted(p for p in folder.glob("step-*.safetensors") if re.fullmatch(r"step-\d+", p.stem))


def read(
    file: Path, detector: nn.Module, average: Average | None, optimizer: torch.optim.Optimizer, device: torch.device
) -> Place:
    """Put a state back into a run of the same config. Raises CondetrError when it is not whole or not of this run."""
    tensors, place = _open(file)
    tensors = _with_current_names(tensors)
    try:
        detector.load_state_dict(_part(tensors, "weights"))
        if average is not None:
            average.model.load_state_dict(_part(tensors, "average"))
    except (RuntimeError, KeyError) as error:
        raise _broken(file, f"of another model: {str(error).splitlines()[-1].strip()[:120]}") from None
    moments = {"step", "exp_avg", "exp_avg_sq"}
    for name, parameter in detector.named_parameters():
        state = {key: tensors[f"{key}/{name}"] for key in moments if f"{key}/{name}" in tensors}
        if state and (set(state) != moments or state["exp_avg"].shape != parameter.shape):
            raise _broken(file, f"the optimizer's moments of {name} are not whole")
        if state:
            optimizer.state[parameter] = {key: tensor.to(device) for key, tensor in state.items()}
    return place


def place_of(file: Path) -> Place:
    """Where the run was when it wrote this state."""
    return _open(file, with_tensors=False)[1]


def _open(file: Path, with_tensors: bool = True) -> tuple[dict[str, Tensor], Place]:
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()} if with_tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise _broken(file, f"not a whole state ({str(error)[:120]})") from None
    if metadata.get("condetr_state") != VERSION:
        raise _broken(file, "written by another version of condetr")
    try:
        return tensors, Place(**json.loads(metadata["place"]))
    except (KeyError, TypeError, ValueError):
        raise _broken(file, "does not say where the run was") from None


def _with_current_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of older states, which saved a detector that trained alone without its learner, and named the
    queries of further groups `more`."""
    of_learner = any(name.startswith("weights/detector.") for name in tensors)
    renamed = {}
    for path, tensor in tensors.items():
        part, _, name = path.partition("/")
        if part != "average":
            name = name.replace("more.weight", "extra_queries.weight") if of_learner else f"detector.{name}"
        renamed[f"{part}/{name}"] = tensor
    return renamed


def _part(tensors: dict[str, Tensor], group: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{group}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{group}/")}


def _broken(file: Path, what: str) -> CondetrError:
    others = [other for other in files(file.parent) if other < file]
    way = f"Remove it to go on from {others[-1].name}" if others else "Remove it to start the run again"
    return CondetrError(f"{file}: {what}. {way}")
