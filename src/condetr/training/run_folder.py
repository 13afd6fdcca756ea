"""The folder of a run: its config, journal, curves, weights and state, and the rules for resuming it."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import checkpoint
from ..checkpoint import Weights
from ..config import Config, parse
from ..engine import state
from ..engine.journal import Journal, write_csv
from ..engine.lock import locked
from ..errors import CondetrError, ConfigError
from ..files import write_text
from ..own_folders import is_run
from ..plural import counted
from .card import published
from .curves import draw_curves
from .default_folder import RECORD, RUNS, new_folder, recorded
from .loop import Loop

OVERHEAD = 20  # a state is written when training has taken this many times as long as writing the last state
AT_LEAST = {True: 1.0, False: 120.0}  # seconds between two states, at the end of an epoch and within one
REDRAW = 10.0  # seconds between two drawings of the curves


class RunFolder:
    """`config.json`, `data.json`, `journal.jsonl`, `metrics.csv`, `curves.png`, `best/`, `last/` and `state/`."""

    def __init__(self, path: Path) -> None:
        self.path, self.config_file, self.state = path, path / "config.json", path / "state"
        self.saved_at, self.cost, self.drawn_at = time.monotonic(), 0.0, time.monotonic()
        self.started = False
        self.stepping = False  # whether this process has come to the first of its steps
        self.kept: tuple[int, int] | None = None  # epoch and step, from 1, of the newest state

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Lock the folder while the block runs. A new run that raises before `mark_started` leaves no files behind."""
        new, missing = False, [folder for folder in self.path.absolute().parents if not folder.exists()]
        try:
            with locked(self.path):
                new = not self.begun()
                yield
        except BaseException:
            if new and not self.started:
                self._discard(missing)
            raise

    def begun(self) -> bool:
        """Whether the folder holds a run that has started: a start that was killed leaves only its `config.json`."""
        return self.config_file.exists() and ((self.path / RECORD).exists() or bool(state.files(self.state)))

    def refuse_runs(self, data: Path) -> None:
        """Raises CondetrError for the folder of the data set, which would be a run's from then on, and for a folder
        that is no run and holds others."""
        if not self.begun() and self.path.resolve() == data:
            other = str(new_folder(data.name, RUNS))
            raise CondetrError(f"{self.path}: the data set's folder. Name another one, such as `out={other!r}`")
        inside = sorted(self.path.iterdir()) if self.path.is_dir() and not self.begun() else []
        run = next((folder for folder in inside if is_run(folder)), None)
        if run is not None:
            raise CondetrError(
                f"{self.path}: a folder of runs ({run.name} is one). Name a folder in it for this run, such as "
                f"`out={str(new_folder(data.name, self.path))!r}`, or continue a run: `out={str(run)!r}, resume=True`"
            )

    def has_state(self) -> bool:
        """Whether there is a state to resume from."""
        return bool(state.files(self.state))

    def saved_config(self) -> Config:
        """The config of the run in this folder. Raises ConfigError where it cannot be read."""
        try:
            return parse(json.loads(self.config_file.read_text(encoding="utf-8")), str(self.config_file))
        except ConfigError:  # a ValueError that names the file
            raise
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.config_file}: cannot be read ({error}). Choose another `out`") from None

    def config_to_resume(self, resume: bool) -> Config | None:
        """The config of the run in this folder, None where it holds none.

        Raises CondetrError when it holds a run and `resume` is False.
        """
        if not self.begun():
            return None
        if not resume:
            raise CondetrError(
                f"{self.path}: contains a run already. Continue it with `resume=True`, or choose another `out`"
            )
        return self.saved_config()

    def prepare(self, config: Config, saved: Config | None) -> None:
        """Save the config of a new run or of one with a new length; remove temporary files of a killed process.

        Raises ConfigError when the folder's run (`saved`) has other settings, except for its length.
        """
        if saved is not None and (difference := differences(_as_long_as(config, saved), config)):
            raise ConfigError(
                f"{self.path}: the run was started with other settings ({'; '.join(difference[:3])}). "
                "Resume without them, or choose another `out`"
            )
        done = state.read_position(state.files(self.state)[-1]).epoch if self.has_state() else 0
        if done > config.train.epochs:
            reason = f"the run has trained {counted(done, 'epoch')} already"
            raise ConfigError(reason, setting="train.epochs", value=str(config.train.epochs))
        for part in self.path.rglob(".*.part"):
            part.unlink(missing_ok=True)
        if saved != config:
            write_text(self.config_file, config.model_dump_json(indent=2) + "\n")

    def mark_started(self, data: Path, fingerprint: str) -> None:
        """Record that the run has started, and the folder of its data set, by which `--resume` finds the run."""
        self.started = True
        if not (self.path / RECORD).exists():
            write_text(self.path / RECORD, json.dumps({"folder": str(data), "fingerprint": fingerprint}) + "\n")

    def _discard(self, created: Sequence[Path]) -> None:
        """Remove the files of a run that failed to start, its folder, and the folders above that were created for it,
        the nearest first; none that holds anything else."""
        for name in ("config.json", "journal.jsonl", ".lock", ".lock-holder"):
            with suppress(OSError):
                (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):  # it has other files
            for folder in (self.path, *created):
                folder.rmdir()

    def check_data(self, data: Path, fingerprint: str) -> None:
        """Raises CondetrError where the folder's run was trained on another data set, in another folder."""
        folder, before = recorded(self.path / RECORD)
        if folder is not None and folder != str(data) and before != fingerprint:
            raise CondetrError(
                f"{self.path}: this run was trained on {folder}, not on {data}. Give that data set, or choose another "
                "`out`"
            )

    def resume(self, loop: Loop, fingerprint: str) -> state.Position:
        """Load the newest state into the loop and return its position; the start of the run where there is none.

        Raises CondetrError when the state is incomplete or the data set has changed.
        """
        files = state.files(self.state)
        if not files:
            return state.Position(fingerprint)
        if state.read_position(files[-1]).data != fingerprint:  # other classes would not fit the tensors
            raise CondetrError(
                f"{self.path}: the data set has changed since the run began. Restore it, or start a new run from the "
                f"trained weights: `init={str(self.path / 'last')!r}, out=ANOTHER`"
            )
        position = state.read(files[-1], loop.learner, loop.average, loop.optimizer, loop.device)
        loop.precision.resume(position.scaling)
        self.kept = (position.epoch + 1, position.step)
        return position

    def save_state(self, position: state.Position, loop: Loop, journal: Journal, weights: Weights, card: str) -> None:
        """Write the state and the last weights."""
        started = time.monotonic()
        journal.sync()
        position.journal, position.scaling = journal.length, loop.precision.state()
        state.write(self.state, position, loop.learner, loop.average, loop.optimizer)
        self.kept = (position.epoch + 1, position.step)
        self.save_weights("last", weights, card)
        self.saved_at = time.monotonic()
        self.cost = self.saved_at - started

    def save_weights(self, name: str, weights: Weights, card: str) -> None:
        """Write `best` or `last`: weights to share, so their config has no paths of this machine."""
        checkpoint.save(self.path / name, replace(weights, config=published(weights.config)), card)

    def due(self, epoch_over: bool) -> bool:
        """Whether it is time to write a state."""
        since = time.monotonic() - self.saved_at
        return since >= max(OVERHEAD * self.cost, AT_LEAST[epoch_over])

    def write_progress(self, epochs: list[dict[str, Any]], title: str, last: bool) -> None:
        """Write the table of the epochs so far, and their curves unless they were drawn a moment ago."""
        write_csv(self.path / "metrics.csv", epochs)
        if epochs and (last or time.monotonic() - self.drawn_at > REDRAW):
            draw_curves(self.path / "curves.png", epochs, title)
            self.drawn_at = time.monotonic()


def _as_long_as(config: Config, saved: Config) -> Config:
    """The saved config with the settings of `config` that only decide when the run ends, and its schedule with it."""
    length: dict[str, float] = {"epochs": config.train.epochs, "patience": config.train.patience}
    if config.train.epochs != saved.train.epochs:
        length["drop_at"] = config.train.drop_at  # the papers' longer schedules drop at another share
    return saved.model_copy(update={"train": saved.train.model_copy(update=length)})


def differences(saved: Config, requested: Config) -> list[str]:
    """The settings that differ, each as `path was a, now b`."""
    old, new = _flat(saved.model_dump(mode="json")), _flat(requested.model_dump(mode="json"))
    paths = [path for path in dict.fromkeys([*old, *new]) if old.get(path) != new.get(path)]
    return [f"{path} was {old.get(path)}, now {new.get(path)}" for path in paths]


def _flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat
