"""The folder of a run: its config, journal, curves, weights and state, and the rules for taking it up again."""

import json
import time
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch

from .. import checkpoint
from ..checkpoint import Weights
from ..config import Config, parse
from ..datasets.dataset import DataSet
from ..engine import state
from ..engine.journal import Journal, write_csv
from ..errors import CondetrError, ConfigError
from ..files import write_text
from .curves import draw_curves
from .loop import Loop

OVERHEAD = 20  # a state is written when the run has gone on for so many times what writing one takes
OFTEN, SELDOM = 1.0, 120.0  # and within an epoch not before so many seconds; at its end this many

REDRAW = 10.0  # seconds from one drawing of the curves to the next


class RunFolder:
    """`config.json`, `journal.jsonl`, `metrics.csv`, `curves.png`, `best/`, `last/` and `state/` of one run."""

    def __init__(self, path: Path) -> None:
        self.path, self.config_file, self.state = path, path / "config.json", path / "state"
        self.saved_at, self.cost, self.drawn_at = time.monotonic(), 0.0, time.monotonic()

    def begun(self) -> bool:
        return self.config_file.exists()

    def saved_config(self) -> Config:
        try:
            return parse(json.loads(self.config_file.read_text(encoding="utf-8")), str(self.config_file))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.config_file}: cannot be read ({error}). Choose another --out") from None

    def held(self, resume: bool) -> Config | None:
        """The config of the run that this folder holds, None where it holds none.

        Raises CondetrError when it holds one and nobody asked to resume.
        """
        if not self.begun():
            return None
        if not resume:
            raise CondetrError(f"{self.path}: holds a run already. Go on with it by --resume, or choose another --out")
        return self.saved_config()

    def prepare(self, config: Config, saved: Config | None) -> None:
        """Make the folder the run's of this config; what a killed process left half written goes.

        Raises ConfigError when it holds a run (`saved`) with other settings.
        """
        if saved is not None and (difference := differences(saved, config)):
            raise ConfigError(
                f"{self.path}: the run was started with other settings ({'; '.join(difference[:3])}). "
                "Resume without them, or choose another --out"
            )
        for part in self.path.rglob(".*.part"):
            part.unlink(missing_ok=True)
        if saved is None:
            write_text(self.config_file, config.model_dump_json(indent=2) + "\n")

    def take_up(self, loop: Loop, fingerprint: str) -> state.Place:
        """Where the run stands: the newest state put into the loop, or the start. Raises CondetrError when the state
        is broken, or of other data."""
        files = state.files(self.state)
        if not files:
            return state.Place(fingerprint)
        place = state.read(files[-1], loop.learner, loop.average, loop.optimizer, loop.device)
        if place.data != fingerprint:
            raise CondetrError(
                f"{self.path}: the data set has changed since the run began. Put it back as it was, or start from "
                f"what was learned: --weights {self.path / 'last'} --out ANOTHER"
            )
        loop.precision.resume(place.scaling)
        return place

    def save_state(self, place: state.Place, loop: Loop, journal: Journal, weights: Weights, card: str) -> None:
        started = time.monotonic()
        journal.sync()
        place.journal, place.scaling = journal.length, loop.precision.state()
        state.write(self.state, place, loop.learner, loop.average, loop.optimizer)
        checkpoint.save(self.path / "last", weights, card)
        self.saved_at = time.monotonic()
        self.cost = self.saved_at - started

    def due(self, epoch_over: bool) -> bool:
        """Whether enough has happened since the last state to write one."""
        since = time.monotonic() - self.saved_at
        return since >= max(OVERHEAD * self.cost, OFTEN if epoch_over else SELDOM)

    def show(self, journal: Journal, title: str, last: bool) -> None:
        """Write the table of the epochs so far, and their curves unless they were drawn a moment ago."""
        epochs = journal.read("epoch")
        write_csv(self.path / "metrics.csv", epochs)
        if epochs and (last or time.monotonic() - self.drawn_at > REDRAW):
            draw_curves(self.path / "curves.png", epochs, title)
            self.drawn_at = time.monotonic()


def differences(saved: Config, asked: Config) -> list[str]:
    """The settings that differ, each as `path was a, now b`."""
    old, new = _flat(saved.model_dump(mode="json")), _flat(asked.model_dump(mode="json"))
    paths = [path for path in dict.fromkeys([*old, *new]) if old.get(path) != new.get(path)]
    return [f"{path} was {old.get(path)}, now {new.get(path)}" for path in paths]


def fingerprint(dataset: DataSet) -> str:
    """What is trained and evaluated on, in a few letters: names, sizes and boxes, not where the files lie."""
    digest = blake2b(digest_size=12)
    digest.update(repr((dataset.categories.ids, dataset.categories.names)).encode())
    for name in ("train", "valid"):
        if name in dataset.splits:
            for sample in sorted(dataset.splits[name], key=lambda sample: sample.path.name):
                truth = sample.truth
                digest.update(repr((name, sample.path.name, truth.image_id, truth.size)).encode(errors="replace"))
                for column in (truth.boxes, truth.labels, truth.crowd):
                    digest.update(column.tobytes())
    return digest.hexdigest()


def card(config: Config, dataset: DataSet, last: dict[str, Any] | None) -> str:
    """The model card: what it was trained on, how, and how good it is."""
    names = [dataset.categories.name(label) for label in dataset.categories.real]
    images = ", ".join(f"{len(split)} in {name}" for name, split in dataset.splits.items())
    lines = [
        "---", "library_name: condetr", "pipeline_tag: object-detection", "---", "",
        f"# {config.recipe}, trained on {dataset.name}", "",
        f"Finds {', '.join(names)}.", "",
        f"- images: {images} ({dataset.format} labels)",
        f"- model: {config.model.decoder.kind}, {config.model.backbone.name}, {config.model.queries} queries, "
        f"short side {config.data.size} px",
        f"- training: {config.train.epochs} epochs, batch {config.train.batch}, rate {config.train.lr:g}, "
        f"seed {config.train.seed}, from {config.train.init}",
    ]  # fmt: skip
    if last is not None and last.get("ap") is not None:
        lines += ["", f"On `valid` after epoch {last['epoch']} (COCO's measures):", "", "| AP | AP50 | AP75 |",
                  "|---|---|---|", f"| {last['ap']:.3f} | {last['ap50']:.3f} | {last['ap75']:.3f} |"]  # fmt: skip
    return "\n".join([*lines, "", f"Settings, whole: `config.json`. torch {torch.__version__}.", ""])


def _flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat
