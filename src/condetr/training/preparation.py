"""What a run trains on which data, agreed with its folder: all that is decided before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import Config, override
from ..datasets.dataset import DataSet
from ..datasets.open import check_exists
from .data import fingerprint, training_data
from .default_folder import dataset_folder
from .defaults import Default, default
from .length import epochs_messages, resolve_epochs
from .progress import Message, Progress
from .resolution import resolve_size, size_messages
from .run_folder import RunFolder
from .settings import resolve
from .start import check_random_start, find_start


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of `train` that decide what is trained. `arguments` are those of `settings.ARGUMENTS`, None where
    not given."""

    data: Path | DataSet
    recipe: str | Config | None
    arguments: Mapping[str, Any]
    settings: Mapping[str, Any]
    follow_outside: bool

    def config(self, base: Config | None) -> Config:
        """The config; without a recipe it starts from `base`. Raises ConfigError."""
        return resolve(self.recipe, self.arguments, self.settings, base)

    def default(self, device: str) -> Default:
        """What to train where no recipe is given. Raises WeightsError."""
        init = self.arguments["init"] or self.settings.get("train.init")
        return default(device, init, self.data.root if isinstance(self.data, DataSet) else self.data)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The config and the data set of a run. Where no recipe was given, `chosen` says what is trained and why, and what
    is another call; otherwise two empty texts."""

    config: Config
    dataset: DataSet
    chosen: tuple[str, str]


def prepare(
    request: Request, folder: RunFolder, device: str, resume: bool, first: bool, note: str, report: Progress
) -> Prepared:
    """Resolve the config and read the data set; the `first` process writes the config into the folder.

    `note` is reported when the settings are known to be valid. Raises CondetrError for settings, weights or data that
    cannot be trained on, or that are not those of the run in the folder.
    """
    saved = folder.config_to_resume(resume or not first)
    chosen = request.default(device) if request.recipe is None and saved is None else None
    config = request.config(saved if chosen is None else chosen.config(images=1))  # their number is not known yet
    if isinstance(request.data, Path):
        check_exists(request.data)
    if saved is None:
        check_random_start(config)
    if note:
        report(Message(note))
    if saved is None:
        find_start(config)
    dataset = training_data(request.data, config, report, request.follow_outside)
    if saved is not None:
        folder.check_data(dataset_folder(request.data), fingerprint(dataset))
    if chosen is not None:
        config = request.config(chosen.config(len(dataset.split("train"))))
    config = _fitted_to_data(config, saved, dataset, report)
    if first:
        folder.prepare(config, saved)
    return Prepared(config, dataset, ("", "") if chosen is None else (chosen.note(config), chosen.alternative))


def _fitted_to_data(config: Config, saved: Config | None, dataset: DataSet, report: Progress) -> Config:
    """The config with a final image size and number of epochs. A resumed run keeps those chosen when it began."""
    if saved is not None and config.data.enlarge:
        config = override(config, {"data.size": saved.data.size})
    if saved is not None and config.train.steps:
        config = override(config, {"train.epochs": saved.train.epochs})
    images = len(dataset.split("train"))
    fitted = resolve_epochs(resolve_size(config, dataset), images)
    for line in [*size_messages(config, fitted, dataset), *epochs_messages(config, fitted, images)]:
        report(Message(line))
    return fitted
