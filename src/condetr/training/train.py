"""Training, whole: from a folder of labelled images to weights, in a run folder that can be taken up again."""

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from ..config import Config, override
from ..datasets.dataset import DataSet, Split
from ..engine.device import check_device, local_device
from ..engine.distributed import Processes, process_group
from ..engine.interrupt import deferred_signals
from ..engine.lock import locked
from ..engine.trackers import check_names
from ..errors import CondetrError, DataError
from ..examining.cache import cache_folder
from ..examining.examine import examine
from .loop import LossError
from .progress import Looked, Progress, Told, silent
from .resolution import notes, sized
from .run import Machine, Result, Run, Stopped
from .run_folder import RunFolder

__all__ = ["LossError", "Result", "Stopped", "train"]

ENOUGH = 640 * 640  # pixels that keep a CPU busy: more at a time are no faster
HELD_OUT = 0.15  # of the training images, where a data set has no valid split


def train(
    data: Path | str | DataSet,
    out: Path | str,
    config: Config | None = None,
    *,
    resume: bool = False,
    device: str | None = None,
    workers: int | None = None,
    micro_batch: int | None = None,
    trackers: tuple[str, ...] = (),
    progress: Progress = silent,
    cache_shares: int = 1,
    follow_outside: bool = False,
) -> Result:
    """Train a detector on `data` (a data set's path, or one that `examine` has cleaned) and write it all to `out`.

    Without a config the recipe is Conditional DETR's, or on `resume` the run's own. `resume` goes on where the run in
    `out` stands, and starts it where there is none. `micro_batch` images go through the detector at a time.
    Started by `torchrun`, all processes train together; the first one writes and tells. `cache_shares` is the number of
    trainings on this machine at the same time: each caches decoded images in its share of the memory.
    `follow_outside` permits images outside the data set's folder.

    Raises CondetrError in one line for what a user can mend, Stopped after SIGTERM or Ctrl-C (the state is saved then),
    LossError when the loss is no number.
    """
    check_names(trackers)
    name, out = check_device(device), Path(out)
    with ExitStack() as stack:
        processes = stack.enter_context(process_group(cuda=name.startswith("cuda")))
        tell = progress if processes.first else silent
        try:
            folder, settled, dataset = _settled(data, out, config, resume, processes, tell, stack, follow_outside)
            machine = _machine(name, workers, micro_batch, settled, processes, cache_shares)
            interrupt = stack.enter_context(deferred_signals())
            if machine.device.type == "cuda":
                torch.cuda.set_device(machine.device)
            stack.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))
            return Run(dataset, folder, settled, machine, processes, interrupt, trackers, tell).go()
        except torch.OutOfMemoryError:
            raise CondetrError(
                f"{name}: out of memory with {micro_batch or 'so many'} images at a time. "
                "Go on with --resume and a smaller --micro-batch"
            ) from None
        except CondetrError as error:
            error.silent = not (processes.first or isinstance(error, LossError))
            raise


def _settled(
    data: Path | str | DataSet, out: Path, config: Config | None, resume: bool, processes: Processes, tell: Progress,
    stack: ExitStack, follow_outside: bool,
) -> tuple[RunFolder, Config, DataSet]:  # fmt: skip
    """The folder, claimed for as long as the stack lasts, its config and the data; the first process goes first."""
    folder = RunFolder(out)
    with processes.first_process_first():
        if processes.first:
            stack.enter_context(locked(out))
            saved = folder.held(resume)
        else:
            saved = folder.saved_config()
        asked = config or saved or Config()
        dataset = data if isinstance(data, DataSet) else _examined(Path(data), asked, tell, follow_outside)
        dataset = _with_valid(dataset, asked, tell)
        if saved is not None and asked.data.enlarge:
            asked = override(asked, {"data.size": saved.data.size})  # what was chosen when the run began
        settled = sized(asked, dataset)
        for note in notes(asked, settled, dataset):
            tell(Told(note))
        if processes.first:
            folder.prepare(settled, saved)
    return folder, saved or settled, dataset


def _examined(path: Path, config: Config, tell: Progress, follow_outside: bool) -> DataSet:
    diagnosis = examine(
        path, queries=config.model.queries, follow_outside=follow_outside, cache=cache_folder(),
        progress=lambda d, t: tell(Looked(d, t)),
    )  # fmt: skip
    counts: dict[str, int] = {}
    for finding in diagnosis.findings:
        if finding.defect.severity != "note":
            key = f"{finding.defect.meaning} ({finding.defect.action})"
            key += f": {finding.defect.remedy}" if finding.defect.action == "keep" else ""
            counts[key] = counts.get(key, 0) + 1
    for what, number in counts.items():
        tell(Told(f"doctor: {number} × {what}"))
    if counts:
        tell(Told(f"doctor: `condetr doctor {path}` shows where"))
    return diagnosis.trainable()


def _with_valid(dataset: DataSet, config: Config, tell: Progress) -> DataSet:
    if "valid" not in dataset.splits:
        try:
            dataset = dataset.with_held_out(HELD_OUT, config.train.seed)
            held = f"{len(dataset.split('valid'))} of the training images are held out for it"
        except DataError:
            dataset = replace(dataset, splits={**dataset.splits, "valid": Split("valid", ())})
            held = "and too few training images to hold any out for it"
        tell(Told(f"no split 'valid': {held}"))
    if not any((~sample.truth.crowd).any() for sample in dataset.split("valid")):
        tell(Told("no object in 'valid': nothing is evaluated, and `last` is all there will be"))
    return dataset


def _machine(
    device: str, workers: int | None, micro_batch: int | None, config: Config, processes: Processes, cache_shares: int
) -> Machine:
    if workers is None:
        workers = min(16, (os.cpu_count() or 1) // processes.world) if device.startswith("cuda") else 1
    share = -(-config.train.batch // processes.world)
    if device == "cpu":  # where a batch of large images takes as long as they do one by one, and more memory
        share = min(share, -(-ENOUGH // config.data.size**2))
    at_a_time = micro_batch or share
    return Machine(local_device(device, processes), workers, at_a_time, cache_shares * processes.world)
