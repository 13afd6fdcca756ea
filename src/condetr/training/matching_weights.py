"""The weights of another detector, as far as they fit: tensors by name and shape, classes by their names."""

import re
from dataclasses import dataclass

import torch

from ..checkpoint import Weights
from ..config import Config
from ..model.detector import BY_QUERY, Detector
from ..plural import counted
from ..types import Categories


@dataclass(frozen=True, slots=True)
class Loaded:
    """`count` tensors were loaded completely; `notes` are lines about those that were not, or only in part."""

    count: int
    notes: tuple[str, ...]


@torch.no_grad()
def load_matching(weights: Weights, detector: Detector, config: Config, categories: Categories) -> Loaded:
    """Load into `detector` what fits: tensors of the same name and shape, the rows of classes of the same name (and
    of softmax's 'no object'), and as many queries as both have. The rest stays randomly initialised."""
    theirs, own = weights.detector.state_dict(), detector.state_dict()
    # all scorings but softmax have a sigmoid for each class
    same_scoring = (weights.config.model.scoring.kind == "softmax") == (config.model.scoring.kind == "softmax")
    count, missing, mismatched, notes = 0, [], [], []
    if len({one.model.decoder.kind == "refining" for one in (config, weights.config)}) == 2:
        del theirs["queries.weight"]  # of one they are object queries, of the other the first embeddings
    for name, tensor in own.items():
        source = theirs.get(name)
        if name in ("heads.classes.weight", "heads.classes.bias"):
            continue
        if source is None:
            missing.append(name)
        elif source.shape == tensor.shape:
            tensor.copy_(source)
            count += 1
        elif name in BY_QUERY and source.shape[1:] == tensor.shape[1:]:
            rows = min(len(source), len(tensor))
            tensor[:rows] = source[:rows]
            new = len(tensor) - rows
            notes.append(f"{name}: {rows} of {counted(len(source), 'query')} loaded, {new} randomly initialised")
        else:
            mismatched.append(name)
    notes += _grouped("randomly initialised (not in the weights)", missing)
    notes += _grouped("randomly initialised (another shape in the weights)", mismatched)
    notes += _grouped("in the weights but not in the model", [name for name in theirs if name not in own])
    return Loaded(count, (*_load_classes(weights, detector, categories, same_scoring), *notes))


def _grouped(what: str, names: list[str]) -> list[str]:
    """One line for each layer or part, as `decoder.layers.5 (26 tensors)`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        layer = re.match(r".*?\.\d+(?=\.)", name)
        groups.setdefault(layer[0] if layer else name.rpartition(".")[0], []).append(name)
    return [
        f"{what}: {group} ({len(members)} tensors)" if len(members) > 1 else f"{what}: {members[0]}"
        for group, members in groups.items()
    ]


def _load_classes(weights: Weights, detector: Detector, categories: Categories, same_scoring: bool) -> tuple[str, ...]:
    theirs, own = weights.detector.heads.classes, detector.heads.classes
    if not same_scoring or theirs.weight.shape[1] != own.weight.shape[1]:
        return ("randomly initialised: all classes (the weights have another scoring or width)",)
    rows = {_plain(name): row for row, name in enumerate(weights.categories.names) if name is not None}
    new = []
    for label in categories.real:
        row = rows.get(_plain(categories.name(label)))
        if row is None:
            new.append(categories.name(label))
            continue
        own.weight[label], own.bias[label] = theirs.weight[row], theirs.bias[row]
    if len(own.bias) > len(categories):  # softmax's 'no object', the last row
        own.weight[-1], own.bias[-1] = theirs.weight[-1], theirs.bias[-1]
    kept = len(categories.real) - len(new)
    lines = [f"{kept} of {counted(len(categories.real), 'class')} loaded by name"]
    return (*lines, *([f"classes randomly initialised: {', '.join(new)}"] if new else []))


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
